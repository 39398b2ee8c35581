package hetero

import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import java.io.File

/**
 * LiteRT's `CompiledModel`, on accelerators of choice.
 *
 * @param accelerators for instance `Accelerator.GPU, Accelerator.CPU`: the latter computes what the former cannot.
 */
class LiteRtCompiled(
    model: File,
    private val contract: Contract,
    threads: Int,
    vararg accelerators: Accelerator
) : Engine {
    override val name = "CompiledModel on ${accelerators.joinToString(" and ")}"
    private val compiled = CompiledModel.create(model.path, options(threads, accelerators))
    private val inputs = compiled.createInputBuffers()
    private val outputs = compiled.createOutputBuffers()

    override fun run(pixels: ByteArray): FloatArray {
        inputs[0].writeInt8(pixels)
        compiled.run(inputs, outputs)
        val output = contract.output
        return if (output.scale == 0.0) outputs[0].readFloat() else output.scaled(outputs[0].readInt8())
    }

    override fun close() {
        (inputs + outputs).forEach { it.close() }
        compiled.close()
    }

    private companion object {
        fun options(threads: Int, accelerators: Array<out Accelerator>): CompiledModel.Options {
            val options = CompiledModel.Options(*accelerators)
            options.cpuOptions = CompiledModel.CpuOptions(numThreads = threads)
            return options
        }
    }
}
