package hetero

import java.io.ByteArrayOutputStream
import java.nio.ByteBuffer
import java.util.zip.Inflater
import kotlin.math.abs
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min

private val SIGNATURE = byteArrayOf(-119, 80, 78, 71, 13, 10, 26, 10)
private const val GREY = 0
private const val PALETTE = 3
private const val GREY_ALPHA = 4
private const val RGBA = 6
private val CHANNELS = mapOf(GREY to 1, 2 to 3, PALETTE to 1, GREY_ALPHA to 2, RGBA to 4)

/**
 * Reads a PNG file to the last bit as the contract asks: a platform's own decoder hands over the high byte of 16 bits,
 * may apply colour profiles, and may round the colours of what is transparent.
 *
 * Returns null for a file that the platform has to read: no PNG, interlaced, turned, or transparent in a way that
 * hardly any file is.
 */
fun readPng(file: ByteArray, contract: Preprocessing): Picture? {
    if (file.size < 33 || !SIGNATURE.indices.all { file[it] == SIGNATURE[it] }) return null
    val png = Png(file, contract)
    val rgba = if (png.isPlain) png.rgba() else null
    if (rgba == null && png.isDeepGrey && contract.greyRange != null) {
        throw IllegalArgumentException("interlaced or turned 16-bit grey PNG")
    }
    return rgba?.let { Picture(png.width, png.height, it).onGround(contract.padValue) }
}

private class Png(private val file: ByteArray, private val contract: Preprocessing) {
    private val view = ByteBuffer.wrap(file)
    private val chunks = chunks()
    val width = view.getInt(16)
    val height = view.getInt(20)
    private val depth = file[24].toInt()
    private val colour = file[25].toInt()
    private val channels = CHANNELS.getValue(colour)
    private val row = ((width.toLong() * depth * channels + 7) / 8).toInt()
    private val palette = chunk("PLTE")
    private val keyed = chunk("tRNS")
    private lateinit var rows: ByteArray

    val isPlain = file[28].toInt() == 0 && chunk("eXIf") == null
    val isDeepGrey = colour == GREY && depth == 16

    /** Returns red, green, blue and alpha of each pixel; null for a kind that is not read here. */
    fun rgba(): ByteArray? {
        if (keyed != null && colour != PALETTE && depth != 8 && !isDeepGrey) return null
        rows = unfiltered(inflated())
        val made = ByteArray(4 * width * height)
        for (y in 0 until height) for (x in 0 until width) put(x, y, made, (y * width + x) * 4)
        return made
    }

    private fun put(x: Int, y: Int, made: ByteArray, at: Int) {
        made[at + 3] = -1
        when {
            colour == PALETTE -> {
                val index = bits(x, y)
                for (c in 0..2) made[at + c] = palette!![3 * index + c]
                if (keyed != null && index < keyed.size) made[at + 3] = keyed[index]
            }
            depth < 8 -> made.fill((bits(x, y) * 255 / ((1 shl depth) - 1)).toByte(), at, at + 3)
            isDeepGrey -> made.fill(deepGrey(x, y), at, at + 3)
            colour == GREY || colour == GREY_ALPHA -> made.fill(byte(x, y, 0), at, at + 3)
            else -> for (c in 0..2) made[at + c] = byte(x, y, c)
        }
        if (colour == GREY_ALPHA || colour == RGBA) made[at + 3] = byte(x, y, channels - 1)
        if (keyed != null && colour != PALETTE && depth == 8 && isHidden(x, y)) made[at + 3] = 0
    }

    /** The sample, or its high byte. */
    private fun byte(x: Int, y: Int, channel: Int) = rows[y * row + (x * channels + channel) * (depth / 8)]

    private fun bits(x: Int, y: Int): Int {
        val packed = rows[y * row + x * depth / 8].toInt() and 0xff
        return packed shr (8 - depth - (x * depth and 7)) and ((1 shl depth) - 1)
    }

    private fun deepGrey(x: Int, y: Int): Byte {
        val (low, high) = contract.greyRange ?: return byte(x, y, 0)
        val value = (byte(x, y, 0).toInt() and 0xff) * 256 + (rows[y * row + 2 * x + 1].toInt() and 0xff)
        return max(0.0, min(255.0, floor((value - low) / (high - low) * 255 + 0.5))).toInt().toByte()
    }

    private fun isHidden(x: Int, y: Int) =
        (0 until channels).all { keyed!![2 * it].toInt() == 0 && keyed[2 * it + 1] == byte(x, y, it) }

    private fun chunk(kind: String) = chunks.firstOrNull { it.first == kind }?.second

    private fun chunks(): List<Pair<String, ByteArray>> {
        val found = ArrayList<Pair<String, ByteArray>>()
        var at = SIGNATURE.size
        while (at + 12 <= file.size) {
            val size = view.getInt(at)
            require(size >= 0 && size <= file.size - at - 12) { "a damaged PNG file" }
            found += Pair(String(file, at + 4, 4, Charsets.US_ASCII), file.copyOfRange(at + 8, at + 8 + size))
            at += 12 + size
        }
        return found
    }

    private fun inflated(): ByteArray {
        val inflater = Inflater()
        val made = ByteArrayOutputStream()
        val part = ByteArray(1 shl 16)
        try {
            for ((kind, data) in chunks) {
                if (kind != "IDAT") continue
                inflater.setInput(data)
                while (!inflater.finished()) {
                    val count = inflater.inflate(part)
                    if (count == 0) break
                    made.write(part, 0, count)
                }
            }
        } finally {
            inflater.end()
        }
        return made.toByteArray()
    }

    /** Undoes the filters of the rows, each with its kind in front (PNG specification, section 9). */
    private fun unfiltered(data: ByteArray): ByteArray {
        require(data.size.toLong() >= (row + 1L) * height) { "a PNG file that ends too early" }
        val step = max(1, depth * channels / 8)
        val made = ByteArray(row * height)
        for (y in 0 until height) {
            val filter = data[y * (row + 1)].toInt()
            for (x in 0 until row) {
                val at = y * row + x
                val left = if (x >= step) made[at - step].toInt() and 0xff else 0
                val up = if (y > 0) made[at - row].toInt() and 0xff else 0
                val corner = if (x >= step && y > 0) made[at - row - step].toInt() and 0xff else 0
                val guess = when (filter) {
                    1 -> left
                    2 -> up
                    3 -> (left + up) shr 1
                    4 -> nearest(left, up, corner)
                    else -> 0
                }
                made[at] = (data[y * (row + 1) + 1 + x] + guess).toByte()
            }
        }
        return made
    }

    private fun nearest(left: Int, up: Int, corner: Int): Int {
        val p = left + up - corner
        val a = abs(p - left)
        val b = abs(p - up)
        val c = abs(p - corner)
        return if (a <= b && a <= c) left else if (b <= c) up else corner
    }
}
