import CoreGraphics
import Foundation
import ImageIO

/// Decodes an image file, and turns it upright, on the contract's ground and in its own size: four bytes a pixel, twice
/// where it has to be turned.
public func decode(_ content: Data, _ contract: Preprocessing) throws -> Picture {
    guard let source = CGImageSourceCreateWithData(content as CFData, nil),
        let image = CGImageSourceCreateImageAtIndex(source, 0, nil)
    else { throw HeteroError("not an image") }
    let isGrey = image.colorSpace?.model == .monochrome
    if contract.greyRange != nil, isGrey, image.bitsPerComponent > 8 {
        throw HeteroError("Core Graphics keeps 8 bits of a deep grey file, and the contract states the range of all")
    }
    let properties = CGImageSourceCopyPropertiesAtIndex(source, 0, nil) as? [CFString: Any]
    let orientation = properties?[kCGImagePropertyOrientation] as? Int ?? 1
    let bytes = try drawn(image, isGrey ? 1 : 4, contract.padValue)
    let rgba = isGrey ? bytes.flatMap { [$0, $0, $0, 255] } : bytes
    return Picture(width: image.width, height: image.height, rgba: rgba).upright(orientation)
}

/// Draws in the colour space of the image itself, so that no profile is applied.
private func drawn(_ image: CGImage, _ channels: Int, _ ground: Int) throws -> [UInt8] {
    let own = image.colorSpace?.model == .indexed ? image.colorSpace?.baseColorSpace : image.colorSpace
    let fallback = channels == 1 ? CGColorSpaceCreateDeviceGray() : CGColorSpaceCreateDeviceRGB()
    let isFit = own?.supportsOutput == true && own?.numberOfComponents == min(channels, 3)
    let space = isFit ? own! : fallback
    let alpha: CGImageAlphaInfo = channels == 1 ? .none : .noneSkipLast
    let rectangle = CGRect(x: 0, y: 0, width: image.width, height: image.height)
    var bytes = [UInt8](repeating: 0, count: image.width * image.height * channels)
    let isDrawn = bytes.withUnsafeMutableBytes { memory -> Bool in
        guard let context = CGContext(
            data: memory.baseAddress, width: image.width, height: image.height, bitsPerComponent: 8,
            bytesPerRow: image.width * channels, space: space, bitmapInfo: alpha.rawValue
        ) else { return false }
        let level = CGFloat(ground) / 255
        let components = [CGFloat](repeating: level, count: min(channels, 3)) + [1]
        guard let colour = CGColor(colorSpace: space, components: components) else { return false }
        context.setFillColor(colour)
        context.fill(rectangle)
        context.interpolationQuality = .none
        context.draw(image, in: rectangle)
        return true
    }
    guard isDrawn else { throw HeteroError("no memory for an image of \(image.width) x \(image.height)") }
    return bytes
}
