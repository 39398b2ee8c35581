package hetero

/** A decoded image: [rgba] holds red, green, blue and alpha of each pixel, row by row; alpha is ignored. */
class Picture(val width: Int, val height: Int, val rgba: ByteArray) {
    init {
        require(rgba.size.toLong() == 4L * width * height) {
            "expected $width x $height pixels, got ${rgba.size} bytes"
        }
    }

    /** Puts the picture on a ground, which shows through transparent parts, with the rounding of Pillow. */
    fun onGround(ground: Int): Picture {
        for (at in rgba.indices step 4) {
            val alpha = rgba[at + 3].toInt() and 0xff
            if (alpha == 255) continue
            for (c in 0..2) rgba[at + c] = over(rgba[at + c].toInt() and 0xff, ground, alpha).toByte()
            rgba[at + 3] = -1
        }
        return this
    }

    /** Turns the picture upright by its EXIF orientation, 1 to 8. */
    fun upright(orientation: Int): Picture {
        if (orientation !in 2..8) return this
        val lies = orientation >= 5
        val w = if (lies) height else width
        val h = if (lies) width else height
        val turned = ByteArray(rgba.size)
        for (y in 0 until h) {
            for (x in 0 until w) {
                val left = if (lies) y else x
                val top = if (lies) x else y
                val sourceX = if (orientation in intArrayOf(2, 3, 7, 8)) width - 1 - left else left
                val sourceY = if (orientation in intArrayOf(3, 4, 6, 7)) height - 1 - top else top
                System.arraycopy(rgba, (sourceY * width + sourceX) * 4, turned, (y * w + x) * 4, 4)
            }
        }
        return Picture(w, h, turned)
    }

    private fun over(value: Int, ground: Int, alpha: Int): Int {
        val sum = 128 * (value * alpha + ground * (255 - alpha) + 128)
        return (((sum shr 8) + sum) shr 8) shr 7
    }
}
