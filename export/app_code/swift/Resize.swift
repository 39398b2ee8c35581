// Pillow's Image.resize, to the last bit: antialiased, separable, in fixed point with 22 bits.
private let bits = 22
private let half = 1 << (bits - 1)

private struct Filter {
    let support: Double
    let weight: (Double) -> Double

    static let bilinear = Filter(support: 1) { max(0, 1 - abs($0)) }
    static let bicubic = Filter(support: 2) {
        let a = -0.5, t = abs($0)
        if t < 1 { return ((a + 2) * t - (a + 3)) * t * t + 1 }
        return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0
    }
}

/// The first source pixel that counts for a target pixel, and the weights from there on.
private struct Taps {
    let first: Int
    let weights: [Int]
}

private func taps(_ source: Int, from: Float, to: Float, _ target: Int, _ filter: Filter) -> [Taps] {
    let scale = Double(to - from) / Double(target)
    let spread = max(1, scale)
    let support = filter.support * spread, step = 1 / spread
    return (0..<target).map { place in
        let centre = Double(from) + (Double(place) + 0.5) * scale
        let first = max(0, Int(centre - support + 0.5))
        let last = min(source, Int(centre + support + 0.5))
        let raw = (0..<(last - first)).map { filter.weight((Double($0 + first) - centre + 0.5) * step) }
        let sum = raw.reduce(0, +)
        return Taps(first: first, weights: raw.map { Int($0 / sum * Double(1 << bits) + ($0 < 0 ? -0.5 : 0.5)) })
    }
}

private func level(_ sum: Int) -> UInt8 { UInt8(max(0, min(255, sum >> bits))) }

private struct Box {
    let left, top, right, bottom: Float
}

/// Resizes a box of a picture, in source pixels. Returns RGB bytes, row by row.
private func resample(_ picture: Picture, _ width: Int, _ height: Int, _ filter: Filter, _ box: Box) -> [UInt8] {
    let across = taps(picture.width, from: box.left, to: box.right, width, filter)
    let down = taps(picture.height, from: box.top, to: box.bottom, height, filter)
    let row = width * 3
    var middle = [UInt8](repeating: 0, count: picture.height * row)
    picture.rgba.withUnsafeBufferPointer { rgba in
        for y in 0..<picture.height {
            for (x, tap) in across.enumerated() {
                let first = (y * picture.width + tap.first) * 4
                for c in 0..<3 {
                    var sum = half
                    for t in 0..<tap.weights.count { sum += Int(rgba[first + t * 4 + c]) * tap.weights[t] }
                    middle[y * row + x * 3 + c] = level(sum)
                }
            }
        }
    }
    var made = [UInt8](repeating: 0, count: height * row)
    for (y, tap) in down.enumerated() {
        for i in 0..<row {
            var sum = half
            for t in 0..<tap.weights.count { sum += Int(middle[(tap.first + t) * row + i]) * tap.weights[t] }
            made[y * row + i] = level(sum)
        }
    }
    return made
}

/// Fits an upright picture to the model's input as the contract says. Returns RGB bytes, row by row.
public func fit(_ picture: Picture, _ contract: Preprocessing) -> [UInt8] {
    let width = contract.width, height = contract.height
    let filter = contract.filter == "bicubic" ? Filter.bicubic : Filter.bilinear
    let columns = Double(picture.width), rows = Double(picture.height)
    let whole = Box(left: 0, top: 0, right: Float(columns), bottom: Float(rows))
    if contract.resize == "squash" || picture.width * height == picture.height * width {
        return resample(picture, width, height, filter, whole)
    }
    if contract.resize == "crop" {
        let scale = min(columns / Double(width), rows / Double(height))
        let w = min(Double(width) * scale, columns), h = min(Double(height) * scale, rows)
        let left = (columns - w) / 2, top = (rows - h) / 2
        // Pillow keeps a box in single precision.
        let box = Box(left: Float(left), top: Float(top), right: Float(left + w), bottom: Float(top + h))
        return resample(picture, width, height, filter, box)
    }
    let scale = min(Double(width) / columns, Double(height) / rows)
    let w = max(1, Int((columns * scale).rounded(.toNearestOrEven)))
    let h = max(1, Int((rows * scale).rounded(.toNearestOrEven)))
    let inner = resample(picture, w, h, filter, whole)
    var made = [UInt8](repeating: UInt8(contract.padValue), count: height * width * 3)
    let left = (width - w) / 2, top = (height - h) / 2
    for y in 0..<h {
        let start = ((y + top) * width + left) * 3
        made.replaceSubrange(start..<(start + w * 3), with: inner[(y * w * 3)..<((y + 1) * w * 3)])
    }
    return made
}
