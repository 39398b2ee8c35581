// Public signatures of ONNX Runtime's Java API, as far as the application's code uses them.
@file:Suppress("unused", "UNUSED_PARAMETER")

package ai.onnxruntime

import java.nio.ByteBuffer
import java.nio.FloatBuffer

enum class OnnxJavaType { FLOAT, UINT8, INT8 }

interface OnnxValue : AutoCloseable

interface OnnxTensorLike : OnnxValue

class OnnxTensor private constructor() : OnnxTensorLike {
    val floatBuffer: FloatBuffer get() = TODO()

    override fun close(): Unit = TODO()

    companion object {
        @JvmStatic
        fun createTensor(env: OrtEnvironment, data: ByteBuffer, shape: LongArray, type: OnnxJavaType): OnnxTensor =
            TODO()
    }
}

class OrtEnvironment private constructor() : AutoCloseable {
    fun createSession(modelPath: String, options: OrtSession.SessionOptions): OrtSession = TODO()

    override fun close(): Unit = TODO()

    companion object {
        @JvmStatic
        fun getEnvironment(): OrtEnvironment = TODO()
    }
}

class OrtSession private constructor() : AutoCloseable {
    class SessionOptions : AutoCloseable {
        fun setIntraOpNumThreads(numThreads: Int): Unit = TODO()

        fun addXnnpack(providerOptions: Map<String, String>): Unit = TODO()

        fun addNnapi(): Unit = TODO()

        override fun close(): Unit = TODO()
    }

    class Result : AutoCloseable {
        operator fun get(index: Int): OnnxValue = TODO()

        override fun close(): Unit = TODO()
    }

    fun run(inputs: Map<String, OnnxTensorLike>): Result = TODO()

    override fun close(): Unit = TODO()
}
