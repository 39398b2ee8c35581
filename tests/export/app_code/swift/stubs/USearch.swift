// Public signatures of usearch, as far as the application's code uses them.
public enum USearchMetric: UInt { case ip, cos, l2sq }

public enum USearchScalar: UInt { case f32, f16, f64, i8, b1 }

public typealias USearchKey = UInt64

public class USearchIndex {
    public static func make(
        metric: USearchMetric, dimensions: UInt32, connectivity: UInt32, quantization: USearchScalar
    ) throws -> USearchIndex { fatalError() }

    public var count: Int { get throws { fatalError() } }

    public func view(path: String) throws {}

    public func reserve(_ count: UInt32) throws {}

    public func add(key: USearchKey, vector: ArraySlice<Float32>) throws {}

    public func search(vector: [Float32], count: Int) throws -> ([USearchKey], [Float]) { fatalError() }
}
