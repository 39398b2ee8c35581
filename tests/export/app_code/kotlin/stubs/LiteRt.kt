// Public signatures of LiteRT 2.3's Kotlin API, as far as the application's code uses them.
@file:Suppress("unused", "UNUSED_PARAMETER")

package com.google.ai.edge.litert

enum class Accelerator(val value: Int) { NONE(0), CPU(1), GPU(2), NPU(3) }

class Environment private constructor()

class TensorBuffer internal constructor() : AutoCloseable {
    fun writeInt8(data: ByteArray): Unit = TODO()

    fun readInt8(): ByteArray = TODO()

    fun readFloat(): FloatArray = TODO()

    override fun close(): Unit = TODO()
}

class CompiledModel private constructor() : AutoCloseable {
    data class CpuOptions(
        val numThreads: Int? = null,
        val xnnPackFlags: Int? = null,
        val xnnPackWeightCachePath: String? = null
    )

    class Options(internal vararg val accelerators: Accelerator) {
        var cpuOptions: CpuOptions? = null
    }

    @JvmOverloads
    fun createInputBuffers(signatureIndex: Int = 0): List<TensorBuffer> = TODO()

    @JvmOverloads
    fun createOutputBuffers(signatureIndex: Int = 0): List<TensorBuffer> = TODO()

    @JvmOverloads
    fun run(inputs: List<TensorBuffer>, outputs: List<TensorBuffer>, signatureIndex: Int = 0): Unit = TODO()

    override fun close(): Unit = TODO()

    companion object {
        @JvmOverloads
        @JvmStatic
        fun create(filePath: String, options: Options, optionalEnv: Environment? = null): CompiledModel = TODO()
    }
}
