import CoreML
import CoreVideo
import Foundation

/// A model with its contract: images in, vectors of one embedding space out. An actor, so that it runs one image at a
/// time, away from the main thread.
public actor HeteroModel {
    public nonisolated let contract: Contract
    /// What the model runs on.
    public nonisolated let computeUnits: MLComputeUnits
    private let model: MLModel

    private init(_ contract: Contract, _ model: MLModel, _ computeUnits: MLComputeUnits) {
        self.contract = contract
        self.model = model
        self.computeUnits = computeUnits
    }

    /// Loads a compiled model on the first compute units that load it and embed a first image.
    ///
    /// - Parameter compiled: what `MLModel.compileModel(at:)` made of the package, and left in a temporary folder.
    public static func load(
        compiled: URL, contract: Contract, trying units: [MLComputeUnits] = [.all, .cpuAndGPU, .cpuOnly]
    ) async throws -> HeteroModel {
        guard contract.input.type == "image-rgb" else { throw HeteroError("not a contract of a Core ML package") }
        let blank = [UInt8](repeating: 0, count: contract.preprocessing.width * contract.preprocessing.height * 3)
        var failures: [String] = []
        for unit in units {
            do {
                let configuration = MLModelConfiguration()
                configuration.computeUnits = unit
                let model = try await MLModel.load(contentsOf: compiled, configuration: configuration)
                let loaded = HeteroModel(contract, model, unit)
                _ = try await loaded.embed(pixels: blank)
                return loaded
            } catch {
                failures.append("\(unit): \(error)")
            }
        }
        throw HeteroError("no compute units run the model: \(failures.joined(separator: "; "))")
    }

    /// Embeds an upright picture on its ground.
    public func embed(_ picture: Picture) throws -> Embedding {
        try embed(pixels: fit(picture, contract.preprocessing))
    }

    /// Embeds RGB bytes of the model's own size.
    public func embed(pixels: [UInt8]) throws -> Embedding {
        let image = MLFeatureValue(pixelBuffer: try buffer(pixels))
        let input = try MLDictionaryFeatureProvider(dictionary: [contract.input.name: image])
        let output = try model.prediction(from: input)
        guard let values = output.featureValue(for: contract.output.name)?.multiArrayValue,
            values.count == contract.space.dimension
        else { throw HeteroError("the model gave no vector of \(contract.space.dimension) numbers") }
        let vector = (0..<values.count).map { values[$0].floatValue }
        return Embedding(spaceId: contract.space.spaceId, vector: vector)
    }

    /// Core ML takes blue, green and red. Vision or a buffer of another size would be resized with another filter.
    private func buffer(_ pixels: [UInt8]) throws -> CVPixelBuffer {
        let width = contract.preprocessing.width, height = contract.preprocessing.height
        var created: CVPixelBuffer?
        CVPixelBufferCreate(kCFAllocatorDefault, width, height, kCVPixelFormatType_32BGRA, nil, &created)
        guard let buffer = created, CVPixelBufferLockBaseAddress(buffer, []) == kCVReturnSuccess else {
            throw HeteroError("no memory for an image of \(width) x \(height)")
        }
        defer { CVPixelBufferUnlockBaseAddress(buffer, []) }
        guard let base = CVPixelBufferGetBaseAddress(buffer) else { throw HeteroError("an image without memory") }
        let row = CVPixelBufferGetBytesPerRow(buffer)
        let bytes = base.assumingMemoryBound(to: UInt8.self)
        for y in 0..<height {
            for x in 0..<width {
                let from = (y * width + x) * 3, to = y * row + x * 4
                for c in 0..<3 { bytes[to + c] = pixels[from + 2 - c] }
                bytes[to + 3] = 255
            }
        }
        return buffer
    }
}
