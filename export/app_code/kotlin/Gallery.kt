package hetero

import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.json.JSONObject

/** A vector with the space that it lives in. */
class Embedding(val spaceId: String, val vector: FloatArray)

class SpaceMismatchException(gallery: String, query: String) : IllegalArgumentException(
    "the gallery holds vectors of the space $gallery, the query is one of $query: their similarity means nothing"
)

class Hit(val name: String, val similarity: Double)

/** Finds rows of a gallery: exactly, or with an index of its vectors. */
interface Nearest {
    /** Returns at most [count] rows. */
    fun rows(vector: FloatArray, count: Int): List<Int>
}

/**
 * A gallery on the device. [vectors] holds the vectors one after another, each of length one.
 *
 * It is searched exactly, by a dot product with every vector, unless [nearest] is an index.
 */
class Gallery(
    val spaceId: String,
    val dimension: Int,
    val names: List<String>,
    private val vectors: FloatArray,
    private val nearest: Nearest? = null
) {
    init {
        require(vectors.size.toLong() == names.size.toLong() * dimension) {
            "expected ${names.size} vectors of $dimension numbers, got ${vectors.size} numbers"
        }
    }

    /**
     * Returns the best matches, best first.
     *
     * @throws SpaceMismatchException if the query is a vector of another space.
     */
    fun search(query: Embedding, count: Int): List<Hit> {
        if (query.spaceId != spaceId) throw SpaceMismatchException(spaceId, query.spaceId)
        require(query.vector.size == dimension) { "expected $dimension numbers, got ${query.vector.size}" }
        val rows = nearest?.rows(query.vector, count) ?: names.indices.toList()
        val similarities = rows.map { Pair(it, similarity(it, query.vector)) }
        return similarities.sortedWith(compareBy({ -it.second }, { it.first })).take(count)
            .map { Hit(names[it.first], it.second) }
    }

    /** Returns a copy of one vector. */
    fun vector(row: Int): FloatArray = vectors.copyOfRange(row * dimension, (row + 1) * dimension)

    /** Returns this gallery, searched with an index. */
    fun with(nearest: Nearest) = Gallery(spaceId, dimension, names, vectors, nearest)

    private fun similarity(row: Int, vector: FloatArray): Double {
        var sum = 0.0
        for (i in 0 until dimension) sum += vectors[row * dimension + i].toDouble() * vector[i]
        return sum
    }

    companion object {
        /** Reads a file that `hetero embed` wrote. */
        fun parse(content: ByteArray): Gallery {
            val bytes = ByteBuffer.wrap(content).order(ByteOrder.LITTLE_ENDIAN)
            val size = bytes.getLong(0).toInt()
            val header = JSONObject(String(content, 8, size, Charsets.UTF_8))
            val about = JSONObject(header.getJSONObject("__metadata__").getString("hetero"))
            val tensor = header.getJSONObject("embeddings")
            require(tensor.getString("dtype") == "F32") { "expected vectors of F32, got ${tensor.getString("dtype")}" }
            val names = about.getJSONArray("names")
            val shape = tensor.getJSONArray("shape")
            val vectors = FloatArray(shape.getInt(0) * shape.getInt(1))
            bytes.position(8 + size + tensor.getJSONArray("data_offsets").getInt(0))
            bytes.asFloatBuffer().get(vectors)
            val spaceId = about.getJSONObject("space").getString("space_id")
            return Gallery(spaceId, shape.getInt(1), List(names.length()) { names.getString(it) }, vectors)
        }
    }
}
