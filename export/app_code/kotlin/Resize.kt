package hetero

import kotlin.math.abs
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round

// Pillow's Image.resize, to the last bit: antialiased, separable, in fixed point with 22 bits.
private const val BITS = 22
private const val HALF = 1 shl (BITS - 1)

private class Filter(val support: Double, val weight: (Double) -> Double)

private val BILINEAR = Filter(1.0) { max(0.0, 1 - abs(it)) }
private val BICUBIC = Filter(2.0) {
    val a = -0.5
    val t = abs(it)
    when {
        t < 1 -> ((a + 2) * t - (a + 3)) * t * t + 1
        t < 2 -> (((t - 5) * t + 8) * t - 4) * a
        else -> 0.0
    }
}

/** The first source pixel that counts for a target pixel, and the weights from there on. */
private class Taps(val first: Int, val weights: IntArray)

private fun taps(source: Int, from: Float, to: Float, target: Int, filter: Filter): List<Taps> {
    val scale = (to - from).toDouble() / target
    val spread = max(1.0, scale)
    val support = filter.support * spread
    val step = 1 / spread
    return List(target) { place ->
        val centre = from + (place + 0.5) * scale
        val first = max(0, (centre - support + 0.5).toInt())
        val last = min(source, (centre + support + 0.5).toInt())
        val raw = DoubleArray(last - first) { filter.weight((it + first - centre + 0.5) * step) }
        val sum = raw.sum()
        Taps(first, IntArray(raw.size) { (raw[it] / sum * (1 shl BITS) + if (raw[it] < 0) -0.5 else 0.5).toInt() })
    }
}

private fun level(sum: Int): Byte = max(0, min(255, sum shr BITS)).toByte()

/** Resizes the box of a picture, `left, top, right, bottom` in source pixels; returns RGB bytes, row by row. */
private fun resample(picture: Picture, width: Int, height: Int, filter: Filter, box: FloatArray): ByteArray {
    val across = taps(picture.width, box[0], box[2], width, filter)
    val down = taps(picture.height, box[1], box[3], height, filter)
    val row = width * 3
    val middle = ByteArray(picture.height * row)
    for (y in 0 until picture.height) {
        for (x in 0 until width) {
            val first = (y * picture.width + across[x].first) * 4
            val weights = across[x].weights
            for (c in 0..2) {
                var sum = HALF
                for (t in weights.indices) sum += (picture.rgba[first + t * 4 + c].toInt() and 0xff) * weights[t]
                middle[y * row + x * 3 + c] = level(sum)
            }
        }
    }
    val made = ByteArray(height * row)
    for (y in 0 until height) {
        val first = down[y].first * row
        val weights = down[y].weights
        for (i in 0 until row) {
            var sum = HALF
            for (t in weights.indices) sum += (middle[first + t * row + i].toInt() and 0xff) * weights[t]
            made[y * row + i] = level(sum)
        }
    }
    return made
}

/** Fits an upright picture to the model's input as the contract says; returns RGB bytes, row by row. */
fun fit(picture: Picture, contract: Preprocessing): ByteArray {
    val width = contract.width
    val height = contract.height
    val filter = if (contract.filter == "bicubic") BICUBIC else BILINEAR
    val whole = floatArrayOf(0f, 0f, picture.width.toFloat(), picture.height.toFloat())
    if (contract.resize == "squash" || picture.width.toLong() * height == picture.height.toLong() * width) {
        return resample(picture, width, height, filter, whole)
    }
    val sides = doubleArrayOf(picture.width.toDouble() / width, picture.height.toDouble() / height)
    if (contract.resize == "crop") {
        val scale = min(sides[0], sides[1])
        val w = min(width * scale, picture.width.toDouble())
        val h = min(height * scale, picture.height.toDouble())
        val left = (picture.width - w) / 2
        val top = (picture.height - h) / 2
        // Pillow keeps a box in single precision.
        val box = floatArrayOf(left.toFloat(), top.toFloat(), (left + w).toFloat(), (top + h).toFloat())
        return resample(picture, width, height, filter, box)
    }
    val scale = min(width.toDouble() / picture.width, height.toDouble() / picture.height)
    val w = max(1, round(picture.width * scale).toInt())
    val h = max(1, round(picture.height * scale).toInt())
    val inner = resample(picture, w, h, filter, whole)
    val made = ByteArray(height * width * 3) { contract.padValue.toByte() }
    val left = (width - w) / 2
    val top = (height - h) / 2
    for (y in 0 until h) System.arraycopy(inner, y * w * 3, made, ((y + top) * width + left) * 3, w * 3)
    return made
}
