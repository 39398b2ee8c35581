/// A decoded image: `rgba` holds red, green and blue of each pixel, row by row, and a fourth byte that is ignored.
public struct Picture: Sendable {
    public let width: Int
    public let height: Int
    public let rgba: [UInt8]

    public init(width: Int, height: Int, rgba: [UInt8]) {
        precondition(rgba.count == 4 * width * height, "expected \(width) x \(height) pixels")
        self.width = width
        self.height = height
        self.rgba = rgba
    }

    /// Turns the picture upright by its EXIF orientation, 1 to 8.
    public func upright(_ orientation: Int) -> Picture {
        guard (2...8).contains(orientation) else { return self }
        let lies = orientation >= 5
        let w = lies ? height : width, h = lies ? width : height
        let mirrorsX = [2, 3, 7, 8].contains(orientation), mirrorsY = [3, 4, 6, 7].contains(orientation)
        var turned = [UInt8](repeating: 0, count: rgba.count)
        for y in 0..<h {
            for x in 0..<w {
                let left = lies ? y : x, top = lies ? x : y
                let sourceX = mirrorsX ? width - 1 - left : left
                let sourceY = mirrorsY ? height - 1 - top : top
                for c in 0..<4 { turned[(y * w + x) * 4 + c] = rgba[(sourceY * width + sourceX) * 4 + c] }
            }
        }
        return Picture(width: w, height: h, rgba: turned)
    }
}
