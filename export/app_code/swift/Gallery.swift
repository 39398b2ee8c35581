import Foundation

/// A vector with the space that it lives in.
public struct Embedding: Sendable {
    public let spaceId: String
    public let vector: [Float]

    public init(spaceId: String, vector: [Float]) {
        self.spaceId = spaceId
        self.vector = vector
    }
}

public struct SpaceMismatch: Error, CustomStringConvertible {
    public let gallery: String
    public let query: String

    public var description: String {
        "the gallery holds vectors of the space \(gallery), the query is one of \(query): "
            + "their similarity means nothing"
    }
}

public struct Hit: Sendable {
    public let name: String
    public let similarity: Double
}

/// Finds rows of a gallery with an index of its vectors.
public protocol Nearest {
    /// Returns at most `count` rows.
    func rows(_ vector: [Float], _ count: Int) throws -> [Int]
}

/// A gallery on the device. It is searched exactly, by a dot product with every vector, unless it has an index.
public struct Gallery {
    public let spaceId: String
    public let dimension: Int
    public let names: [String]
    /// The vectors one after another, each of length one.
    public let vectors: [Float]
    /// An index in place of the exact search.
    public var nearest: Nearest?

    public init(spaceId: String, dimension: Int, names: [String], vectors: [Float]) throws {
        guard vectors.count == names.count * dimension else {
            throw HeteroError("expected \(names.count) vectors of \(dimension) numbers, got \(vectors.count) numbers")
        }
        self.spaceId = spaceId
        self.dimension = dimension
        self.names = names
        self.vectors = vectors
    }

    /// Reads a file that `hetero embed` wrote.
    public static func parse(_ content: Data) throws -> Gallery {
        let bytes = [UInt8](content)
        guard bytes.count >= 8 else { throw HeteroError("not a gallery") }
        let size = bytes[0..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
        guard size >= 0, size <= bytes.count - 8 else { throw HeteroError("not a gallery") }
        let decoder = JSONDecoder()
        let header = try decoder.decode(Header.self, from: Data(bytes[8..<(8 + size)]))
        let about = try decoder.decode(About.self, from: Data(header.metadata.hetero.utf8))
        let tensor = header.embeddings
        guard tensor.dtype == "F32", tensor.offsets.count == 2, 8 + size + tensor.offsets[1] <= bytes.count else {
            throw HeteroError("expected vectors of F32, got \(tensor.dtype)")
        }
        let vectors = floats(bytes[(8 + size + tensor.offsets[0])..<(8 + size + tensor.offsets[1])])
        return try Gallery(
            spaceId: about.space.spaceId, dimension: tensor.shape[1], names: about.names, vectors: vectors
        )
    }

    /// Returns the best matches, best first. Throws `SpaceMismatch` if the query is a vector of another space.
    public func search(_ query: Embedding, _ count: Int) throws -> [Hit] {
        guard query.spaceId == spaceId else { throw SpaceMismatch(gallery: spaceId, query: query.spaceId) }
        guard query.vector.count == dimension else {
            throw HeteroError("expected a vector of \(dimension) numbers, got \(query.vector.count)")
        }
        let rows = try nearest?.rows(query.vector, count) ?? Array(names.indices)
        let scored = rows.map { (row: $0, similarity: similarity($0, query.vector)) }
        let best = scored.sorted { ($0.similarity, $1.row) > ($1.similarity, $0.row) }
        return best.prefix(count).map { Hit(name: names[$0.row], similarity: $0.similarity) }
    }

    private func similarity(_ row: Int, _ vector: [Float]) -> Double {
        var sum = 0.0
        for i in 0..<dimension { sum += Double(vectors[row * dimension + i]) * Double(vector[i]) }
        return sum
    }
}

/// Reads little-endian numbers.
func floats(_ bytes: ArraySlice<UInt8>) -> [Float] {
    stride(from: bytes.startIndex, to: bytes.endIndex - 3, by: 4).map { at in
        Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[at + $1]) << UInt32(8 * $1) })
    }
}

private struct Header: Decodable {
    struct Metadata: Decodable {
        let hetero: String
    }

    struct Values: Decodable {
        let dtype: String
        let shape: [Int]
        let offsets: [Int]

        enum CodingKeys: String, CodingKey {
            case dtype, shape
            case offsets = "data_offsets"
        }
    }

    let metadata: Metadata
    let embeddings: Values

    enum CodingKeys: String, CodingKey {
        case metadata = "__metadata__"
        case embeddings
    }
}

private struct About: Decodable {
    struct Meaning: Decodable {
        let spaceId: String

        enum CodingKeys: String, CodingKey {
            case spaceId = "space_id"
        }
    }

    let names: [String]
    let space: Meaning
}
