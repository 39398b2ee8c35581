import Foundation

/// What is done to an image before the model; everything after that is in the model's graph.
public struct Preprocessing: Decodable, Sendable {
    public let width: Int
    public let height: Int
    /// `squash`, `pad` or `crop`.
    public let resize: String
    /// `bilinear` or `bicubic`, always antialiased.
    public let filter: String
    /// Grey level of the background and behind transparent parts.
    public let padValue: Int
    /// Values that become black and white in grey files of more than 8 bits.
    public let greyRange: [Double]?
}

/// An input or output of the model.
public struct Tensor: Decodable, Sendable {
    public let name: String
    public let type: String
}

/// What vectors mean: they compare only within one space.
public struct Space: Decodable, Sendable {
    public let spaceId: String
    public let dimension: Int
}

/// An image with the vector that it must give; both are paths beside the contract.
public struct SelfTestCase: Decodable, Sendable {
    public let image: String
    public let vector: String
}

/// `contract.json`: all that an application has to know of its model.
public struct Contract: Decodable, Sendable {
    public let schema: String
    public let format: String
    /// Path of the model beside the contract.
    public let model: String
    public let space: Space
    public let preprocessing: Preprocessing
    public let input: Tensor
    public let output: Tensor
    /// The self-test passes if the cosine with each expected vector is at least this.
    public let leastCosine: Double
    public let selfTest: [SelfTestCase]

    /// Reads the content of `contract.json`.
    public static func parse(_ content: Data) throws -> Contract {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let contract = try decoder.decode(Contract.self, from: content)
        guard contract.schema == "hetero/app/1" else { throw HeteroError("not a contract of the kind hetero/app/1") }
        return contract
    }
}

public struct HeteroError: Error, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}
