import Foundation

// The program of `tests/export/app_code/compiled.py` around the application's code.

struct Job: Decodable {
    let rgba: String
    let width: Int
    let height: Int
    let orientation: Int
    let contract: String
    let out: String
}

struct Report: Encodable {
    let passed: Bool
    let cosines: [Double]
    let vectors: [[Float]]
    let found: [[String]]
    let refusal: String
}

func content(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: path)) }

func fitAll(_ path: String) throws {
    for job in try JSONDecoder().decode([Job].self, from: content(path)) {
        let contract = try Contract.parse(Data(job.contract.utf8))
        let picture = Picture(width: job.width, height: job.height, rgba: [UInt8](try content(job.rgba)))
        let pixels = fit(picture.upright(job.orientation), contract.preprocessing)
        try Data(pixels).write(to: URL(fileURLWithPath: job.out))
    }
}

/// Asks the process that started this one, which has the runtime: pixels out, a vector in.
func asked(_ pixels: [UInt8], _ contract: Contract) -> Embedding {
    FileHandle.standardOutput.write(Data(pixels))
    var answer = Data()
    while answer.count < 4 * contract.space.dimension {
        answer += FileHandle.standardInput.readData(ofLength: 4 * contract.space.dimension - answer.count)
    }
    return Embedding(spaceId: contract.space.spaceId, vector: floats([UInt8](answer)[...]))
}

/// Runs an application whose images are raw: a byte of width, one of height, and RGBA.
func application(_ folder: String) async throws {
    let contract = try Contract.parse(try content("\(folder)/contract.json"))
    func embed(_ file: Data) throws -> Embedding {
        let bytes = [UInt8](file)
        let picture = Picture(width: Int(bytes[0]), height: Int(bytes[1]), rgba: Array(bytes[2...]))
        return asked(fit(picture, contract.preprocessing), contract)
    }
    let read = { (name: String) in try content("\(folder)/\(name.replacingOccurrences(of: ".png", with: ".raw"))") }
    let test = try await selfTest(contract, read: read, embed: embed)
    let gallery = try Gallery.parse(content("\(folder)/gallery.safetensors"))
    let names = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/queries").sorted()
    let queries = try names.filter { $0.hasSuffix(".raw") }.map { try embed(content("\(folder)/queries/\($0)")) }
    var refusal = ""
    do {
        _ = try Gallery.parse(content("\(folder)/other.safetensors")).search(queries[0], 1)
    } catch let error as SpaceMismatch {
        refusal = error.description
    }
    let report = Report(
        passed: test.passed, cosines: test.cosines, vectors: queries.map(\.vector),
        found: try queries.map { try gallery.search($0, 10).map(\.name) }, refusal: refusal
    )
    try JSONEncoder().encode(report).write(to: URL(fileURLWithPath: "\(folder)/report.json"))
}

if CommandLine.arguments[1] == "fit" {
    try fitAll(CommandLine.arguments[2])
} else {
    try await application(CommandLine.arguments[2])
}
