// Public signatures of usearch's Java API, as far as the application's code uses them.
@file:Suppress("unused", "UNUSED_PARAMETER")

package cloud.unum.usearch

class Index private constructor() : AutoCloseable {
    class Config {
        fun metric(metric: String): Config = TODO()

        fun quantization(quantization: String): Config = TODO()

        fun dimensions(dimensions: Long): Config = TODO()

        @Suppress("FunctionName")
        fun expansion_search(candidates: Long): Config = TODO()

        fun build(): Index = TODO()
    }

    fun size(): Long = TODO()

    fun reserve(capacity: Long): Unit = TODO()

    fun view(path: String): Unit = TODO()

    fun get(key: Long): FloatArray = TODO()

    fun add(key: Long, vector: FloatArray): Unit = TODO()

    fun search(vector: FloatArray, count: Long): LongArray = TODO()

    override fun close(): Unit = TODO()
}
