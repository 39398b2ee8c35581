package hetero

import cloud.unum.usearch.Index
import java.io.File
import org.json.JSONArray

/**
 * The gallery that came with the model, searched by usearch where it lies: its vectors are not read into memory.
 *
 * @param folder holds `index.usearch` and `ids.jsonl`.
 * @param effort candidates that a search keeps; the README beside the model says what it was verified with.
 */
class CarriedGallery(folder: File, contract: Contract, effort: Int = 64) : AutoCloseable {
    val spaceId = contract.spaceId
    val dimension = contract.output.dimension
    val names: List<String>
    private val index: Index

    init {
        // Each line is a text in JSON, so that all of them are a list of texts.
        val lines = folder.resolve("ids.jsonl").readText().trimEnd('\n').replace('\n', ',')
        val ids = JSONArray("[$lines]")
        names = List(ids.length()) { ids.getString(it) }
        index = Index.Config().metric("ip").quantization("f16").dimensions(dimension.toLong())
            .expansion_search(effort.toLong()).build()
        index.view(folder.resolve("index.usearch").path)
        require(index.size() == names.size.toLong()) { "expected ${names.size} vectors, got ${index.size()}" }
    }

    /**
     * Returns the best matches that the index finds, best first.
     *
     * @throws SpaceMismatchException if the query is a vector of another space.
     */
    fun search(query: Embedding, count: Int): List<Hit> {
        if (query.spaceId != spaceId) throw SpaceMismatchException(spaceId, query.spaceId)
        require(query.vector.size == dimension) { "expected $dimension numbers, got ${query.vector.size}" }
        return index.search(query.vector, count.toLong()).map { Hit(names[it.toInt()], similarity(it, query.vector)) }
    }

    override fun close() = index.close()

    private fun similarity(key: Long, vector: FloatArray): Double {
        val stored = index.get(key)
        return vector.indices.sumByDouble { stored[it].toDouble() * vector[it] }
    }
}
