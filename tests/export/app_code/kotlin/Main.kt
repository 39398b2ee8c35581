package hetero

import java.io.DataInputStream
import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.json.JSONArray
import org.json.JSONObject

/** Embeds by asking the process that started this one, which has the runtime: pixels out, a vector in. */
private class Asking(private val contract: Contract) : Engine {
    override val name = "asking"
    private val answers = DataInputStream(System.`in`)

    override fun run(pixels: ByteArray): FloatArray {
        System.out.write(pixels)
        System.out.flush()
        val content = ByteArray(4 * contract.output.dimension)
        answers.readFully(content)
        val vector = FloatArray(contract.output.dimension)
        ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(vector)
        return vector
    }

    override fun close() = Unit
}

/** Fits each picture, `{"file"}` or `{"rgba", "width", "height", "orientation"}`, and writes the pixels to `out`. */
private fun fitAll(jobs: JSONArray) {
    for (index in 0 until jobs.length()) {
        val job = jobs.getJSONObject(index)
        val contract = Contract.parse(job.getString("contract")).preprocessing
        val picture = if (job.has("file")) {
            readPng(File(job.getString("file")).readBytes(), contract)
        } else {
            Picture(job.getInt("width"), job.getInt("height"), File(job.getString("rgba")).readBytes())
                .onGround(contract.padValue).upright(job.getInt("orientation"))
        }
        File(job.getString("out")).writeBytes(if (picture == null) ByteArray(0) else fit(picture, contract))
    }
}

/** Runs an application: the self-test, queries, a search, and a search in a gallery of another space. */
private fun application(folder: File) {
    val contract = Contract.parse(File(folder, "contract.json").readText())
    val engines = listOf<() -> Engine>({ throw IllegalStateException("no such accelerator") }, { Asking(contract) })
    val model = HeteroModel.load(contract, engines)
    val embed = { content: ByteArray -> model.embed(readPng(content, contract.preprocessing)!!) }
    val test = selfTest(contract, { File(folder, it).readBytes() }, embed)
    val gallery = Gallery.parse(File(folder, "gallery.safetensors").readBytes())
    val found = JSONArray()
    val vectors = JSONArray()
    for (file in File(folder, "queries").listFiles()!!.sorted()) {
        val query = embed(file.readBytes())
        vectors.put(JSONArray(query.vector.map { it.toDouble() }))
        found.put(JSONArray(gallery.search(query, 10).map { it.name }))
    }
    val refusal = try {
        val other = Gallery.parse(File(folder, "other.safetensors").readBytes())
        other.search(Embedding(contract.spaceId, FloatArray(1)), 1)
        ""
    } catch (error: SpaceMismatchException) {
        error.message
    }
    val report = JSONObject().put("engine", model.engineName).put("found", found).put("vectors", vectors)
        .put("passed", test.passed).put("cosines", JSONArray(test.cosines)).put("refusal", refusal)
    File(folder, "report.json").writeText(report.toString())
}

/** Scales every byte as the contract says, and writes the numbers as text. */
private fun scale(folder: File) {
    val output = Contract.parse(File(folder, "bytes.json").readText()).output
    val numbers = output.scaled(ByteArray(256) { it.toByte() })
    File(folder, "report.json").writeText(JSONArray(numbers.map { it.toDouble() }).toString())
}

fun main(arguments: Array<String>) = when (arguments[0]) {
    "fit" -> fitAll(JSONArray(File(arguments[1]).readText()))
    "scale" -> scale(File(arguments[1]))
    else -> application(File(arguments[1]))
}
