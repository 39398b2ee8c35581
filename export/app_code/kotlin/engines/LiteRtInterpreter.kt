package hetero

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.Delegate
import org.tensorflow.lite.Interpreter

/**
 * LiteRT's `Interpreter`: the last resort where `CompiledModel` fails, and the only choice with LiteRT 1.
 *
 * @param delegate for instance a `GpuDelegate` of LiteRT 1; since LiteRT 2.1 the interpreter computes on the CPU only.
 */
class LiteRtInterpreter(
    model: File,
    private val contract: Contract,
    threads: Int,
    delegate: Delegate? = null
) : Engine {
    override val name = "Interpreter on ${delegate?.javaClass?.simpleName ?: "CPU"}"
    private val interpreter = Interpreter(model, options(threads, delegate))
    private val isQuantised = contract.output.scale != 0.0
    private val input = direct(contract.preprocessing.width * contract.preprocessing.height * 3)
    private val output = direct(contract.output.dimension * if (isQuantised) 1 else 4)

    override fun run(pixels: ByteArray): FloatArray {
        input.clear()
        input.put(pixels)
        input.flip()
        output.clear()
        interpreter.run(input, output)
        output.rewind()
        if (isQuantised) return contract.output.scaled(ByteArray(output.capacity()).also { output.get(it) })
        return FloatArray(contract.output.dimension).also { output.asFloatBuffer().get(it) }
    }

    override fun close() = interpreter.close()

    private companion object {
        fun direct(size: Int): ByteBuffer = ByteBuffer.allocateDirect(size).order(ByteOrder.nativeOrder())

        fun options(threads: Int, delegate: Delegate?): Interpreter.Options {
            val options = Interpreter.Options().setNumThreads(threads)
            return if (delegate == null) options else options.addDelegate(delegate)
        }
    }
}
