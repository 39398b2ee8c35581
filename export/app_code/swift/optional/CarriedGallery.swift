import Foundation
import USearch

/// The gallery that came with the model, searched by usearch where it lies: its vectors are not read into memory.
///
/// usearch for Swift keeps 64 candidates in a search, which cannot be changed there.
public struct CarriedGallery {
    public let spaceId: String
    public let names: [String]
    private let dimension: Int
    private let index: USearchIndex

    /// Opens a folder with `index.usearch` and `ids.jsonl`.
    public init(_ folder: URL, contract: Contract) throws {
        spaceId = contract.space.spaceId
        dimension = contract.space.dimension
        // Each line is a text in JSON, so that all of them are a list of texts.
        let lines = try String(contentsOf: folder.appendingPathComponent("ids.jsonl"), encoding: .utf8)
        let list = lines.split(separator: "\n").joined(separator: ",")
        names = try JSONDecoder().decode([String].self, from: Data("[\(list)]".utf8))
        index = try USearchIndex.make(
            metric: .ip, dimensions: UInt32(contract.space.dimension), connectivity: 16, quantization: .f16
        )
        try index.view(path: folder.appendingPathComponent("index.usearch").path)
        let size = try index.count
        guard size == names.count else { throw HeteroError("expected \(names.count) vectors, got \(size)") }
    }

    /// Returns the best matches that the index finds, best first. Throws `SpaceMismatch` if the query is a vector of
    /// another space.
    public func search(_ query: Embedding, _ count: Int) throws -> [Hit] {
        guard query.spaceId == spaceId else { throw SpaceMismatch(gallery: spaceId, query: query.spaceId) }
        guard query.vector.count == dimension else {
            throw HeteroError("expected a vector of \(dimension) numbers, got \(query.vector.count)")
        }
        let (keys, distances) = try index.search(vector: query.vector, count: count)
        return zip(keys, distances).map { Hit(name: names[Int($0)], similarity: 1 - Double($1)) }
    }
}
