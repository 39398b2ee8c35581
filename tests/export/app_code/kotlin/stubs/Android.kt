// Public signatures of android.graphics and androidx.exifinterface, as far as the application's code uses them.
@file:Suppress("unused", "UNUSED_PARAMETER")

package android.graphics

import java.nio.Buffer

class Bitmap private constructor() {
    enum class Config { ALPHA_8, RGB_565, ARGB_4444, ARGB_8888, RGBA_F16, HARDWARE, RGBA_1010102 }

    val width: Int get() = TODO()
    val height: Int get() = TODO()
    val config: Config? get() = TODO()

    fun copyPixelsToBuffer(dst: Buffer): Unit = TODO()

    fun recycle(): Unit = TODO()
}

class BitmapFactory {
    class Options {
        @JvmField var inScaled = true
        @JvmField var inPremultiplied = true
        @JvmField var inPreferredConfig: Bitmap.Config? = Bitmap.Config.ARGB_8888
    }

    companion object {
        @JvmStatic
        fun decodeByteArray(data: ByteArray, offset: Int, length: Int, opts: Options?): Bitmap? = TODO()
    }
}
