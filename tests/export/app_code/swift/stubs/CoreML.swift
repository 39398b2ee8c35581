// Public signatures of Core ML, as far as the application's code uses them.
import CoreVideo
import Foundation

public enum MLComputeUnits: Int, Sendable {
    case cpuOnly, cpuAndGPU, all, cpuAndNeuralEngine
}

open class MLModelConfiguration {
    public var computeUnits = MLComputeUnits.all
    public init() {}
}

open class MLMultiArray {
    public var count: Int { fatalError() }
    public subscript(_: Int) -> NSNumber { fatalError() }
}

open class MLFeatureValue {
    public var multiArrayValue: MLMultiArray? { fatalError() }
    public init(pixelBuffer: CVPixelBuffer) {}
}

public protocol MLFeatureProvider {
    func featureValue(for featureName: String) -> MLFeatureValue?
}

open class MLDictionaryFeatureProvider: MLFeatureProvider {
    public init(dictionary: [String: Any]) throws {}
    public func featureValue(for featureName: String) -> MLFeatureValue? { fatalError() }
}

open class MLModel {
    public static func load(contentsOf url: URL, configuration: MLModelConfiguration) async throws -> MLModel {
        fatalError()
    }

    public func prediction(from input: MLFeatureProvider) throws -> MLFeatureProvider { fatalError() }
    public func prediction(from input: MLFeatureProvider) async throws -> MLFeatureProvider { fatalError() }
}
