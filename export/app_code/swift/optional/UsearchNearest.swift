import USearch

/// usearch's index of a gallery, for `gallery.nearest = try UsearchNearest(gallery)`: approximate, and quicker than the
/// exact search where a gallery holds hundreds of thousands of vectors. The gallery still checks the space, and scores
/// the rows that the index finds by itself.
public struct UsearchNearest: Nearest {
    private let index: USearchIndex

    public init(_ gallery: Gallery) throws {
        let size = gallery.dimension
        index = try USearchIndex.make(metric: .ip, dimensions: UInt32(size), connectivity: 16, quantization: .f32)
        try index.reserve(UInt32(gallery.names.count))
        for row in gallery.names.indices {
            try index.add(key: UInt64(row), vector: gallery.vectors[(row * size)..<((row + 1) * size)])
        }
    }

    public func rows(_ vector: [Float], _ count: Int) throws -> [Int] {
        try index.search(vector: vector, count: count).0.map { Int($0) }
    }
}
