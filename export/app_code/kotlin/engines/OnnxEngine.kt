package hetero

import ai.onnxruntime.OnnxJavaType
import ai.onnxruntime.OnnxTensor
import ai.onnxruntime.OrtEnvironment
import ai.onnxruntime.OrtSession
import java.io.File
import java.nio.ByteBuffer

/**
 * ONNX Runtime.
 *
 * @param provider a name for people.
 * @param configure adds an execution provider: `{ it.addXnnpack(mapOf()) }`, `{ it.addNnapi() }`; nothing for the CPU.
 */
class OnnxEngine(
    model: File,
    private val contract: Contract,
    threads: Int,
    provider: String = "CPU",
    configure: (OrtSession.SessionOptions) -> Unit = {}
) : Engine {
    override val name = "ONNX Runtime on $provider"
    private val environment = OrtEnvironment.getEnvironment()
    private val session = OrtSession.SessionOptions().use { options ->
        options.setIntraOpNumThreads(threads)
        configure(options)
        environment.createSession(model.path, options)
    }
    private val shape =
        longArrayOf(1, contract.preprocessing.height.toLong(), contract.preprocessing.width.toLong(), 3)

    override fun run(pixels: ByteArray): FloatArray {
        val image = OnnxTensor.createTensor(environment, ByteBuffer.wrap(pixels), shape, OnnxJavaType.UINT8)
        return image.use {
            session.run(mapOf(contract.inputName to it)).use { outputs ->
                val vector = FloatArray(contract.output.dimension)
                (outputs[0] as OnnxTensor).floatBuffer.get(vector)
                vector
            }
        }
    }

    override fun close() = session.close()
}
