package hetero

import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.sqrt

/** What [selfTest] found. Use nothing that the model gives unless it [passed]. */
class SelfTestResult(val cosines: List<Double>, val least: Double) {
    val passed: Boolean get() = cosines.isNotEmpty() && cosines.all { it >= least }
}

/**
 * Tests decoding, resizing and the model on this device: the images that came with the contract must give the vectors
 * that came with them. Run it once after installation, and whenever the model was replaced.
 *
 * @param read returns the content of a file beside the contract.
 * @param embed decodes and embeds an encoded image, as the application does it.
 */
fun selfTest(contract: Contract, read: (String) -> ByteArray, embed: (ByteArray) -> Embedding): SelfTestResult {
    val cosines = contract.selfTest.map { case ->
        val expected = FloatArray(contract.output.dimension)
        ByteBuffer.wrap(read(case.vector)).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(expected)
        cosine(embed(read(case.image)).vector, expected)
    }
    return SelfTestResult(cosines, contract.leastCosine)
}

private fun cosine(a: FloatArray, b: FloatArray): Double {
    var dot = 0.0
    var own = 0.0
    var other = 0.0
    for (i in a.indices) {
        dot += a[i].toDouble() * b[i]
        own += a[i].toDouble() * a[i]
        other += b[i].toDouble() * b[i]
    }
    return dot / sqrt(own * other)
}
