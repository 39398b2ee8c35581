package hetero

import cloud.unum.usearch.Index

/**
 * usearch's index of a gallery, for `gallery.with(UsearchNearest(gallery))`: approximate, and quicker than the exact
 * search where a gallery holds hundreds of thousands of vectors. The gallery still checks the space, and scores the
 * rows that the index finds by itself.
 */
class UsearchNearest(gallery: Gallery) : Nearest, AutoCloseable {
    private val index = Index.Config().metric("ip").quantization("f32").dimensions(gallery.dimension.toLong()).build()

    init {
        index.reserve(gallery.names.size.toLong())
        gallery.names.indices.forEach { index.add(it.toLong(), gallery.vector(it)) }
    }

    override fun rows(vector: FloatArray, count: Int): List<Int> =
        index.search(vector, count.toLong()).map { it.toInt() }

    override fun close() = index.close()
}
