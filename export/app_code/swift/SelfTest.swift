import Foundation

/// What `selfTest` found. Use nothing that the model gives unless it passed.
public struct SelfTestResult: Sendable {
    public let cosines: [Double]
    public let least: Double

    public var passed: Bool { !cosines.isEmpty && cosines.allSatisfy { $0 >= least } }
}

/// Tests decoding, resizing and the model on this device: the images that came with the contract must give the vectors
/// that came with them. Run it once after installation, and whenever the model was replaced.
///
/// - Parameter read: returns the content of a file beside the contract.
/// - Parameter embed: decodes and embeds an encoded image, as the application does it.
public func selfTest(
    _ contract: Contract, read: (String) throws -> Data, embed: (Data) async throws -> Embedding
) async throws -> SelfTestResult {
    var cosines: [Double] = []
    for one in contract.selfTest {
        let expected = floats([UInt8](try read(one.vector))[...])
        let vector = try await embed(try read(one.image)).vector
        cosines.append(vector.count == expected.count ? cosine(vector, expected) : -1)
    }
    return SelfTestResult(cosines: cosines, least: contract.leastCosine)
}

private func cosine(_ a: [Float], _ b: [Float]) -> Double {
    func dot(_ a: [Float], _ b: [Float]) -> Double { zip(a, b).reduce(0) { $0 + Double($1.0) * Double($1.1) } }
    return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
}
