// Public signatures of androidx.exifinterface, as far as the application's code uses them.
@file:Suppress("unused", "UNUSED_PARAMETER")

package androidx.exifinterface.media

import java.io.InputStream

class ExifInterface(inputStream: InputStream) {
    fun getAttributeInt(tag: String, defaultValue: Int): Int = TODO()

    companion object {
        const val TAG_ORIENTATION = "Orientation"
        const val ORIENTATION_NORMAL = 1
    }
}
