package hetero

import android.graphics.Bitmap
import android.graphics.BitmapFactory
import androidx.exifinterface.media.ExifInterface
import java.io.ByteArrayInputStream
import java.nio.ByteBuffer

/**
 * Decodes an image file, turns it upright, and puts it on the contract's ground, in its own size: four bytes a pixel,
 * twice where it has to be turned.
 */
fun decode(content: ByteArray, contract: Preprocessing): Picture {
    readPng(content, contract)?.let { return it }
    val options = BitmapFactory.Options()
    options.inScaled = false
    options.inPreferredConfig = Bitmap.Config.ARGB_8888
    options.inPremultiplied = false
    val bitmap = requireNotNull(BitmapFactory.decodeByteArray(content, 0, content.size, options)) { "not an image" }
    val orientation = ExifInterface(ByteArrayInputStream(content))
        .getAttributeInt(ExifInterface.TAG_ORIENTATION, ExifInterface.ORIENTATION_NORMAL)
    return pictureOf(bitmap).onGround(contract.padValue).upright(orientation)
}

/** Copies the pixels of a bitmap, which it recycles. */
private fun pictureOf(bitmap: Bitmap): Picture {
    require(bitmap.config == Bitmap.Config.ARGB_8888) { "expected ARGB_8888, got ${bitmap.config}" }
    // Bitmap.getPixels would convert colours to sRGB; the contract takes them as they are stored.
    val rgba = ByteArray(4 * bitmap.width * bitmap.height)
    bitmap.copyPixelsToBuffer(ByteBuffer.wrap(rgba))
    val picture = Picture(bitmap.width, bitmap.height, rgba)
    bitmap.recycle()
    return picture
}
