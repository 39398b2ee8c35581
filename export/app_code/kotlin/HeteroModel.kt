package hetero

/** A runtime that has loaded the contract's model. */
interface Engine : AutoCloseable {
    /** The runtime, and what it computes on. */
    val name: String

    /** Returns the vector of an image of the model's own size: RGB bytes, row by row. */
    fun run(pixels: ByteArray): FloatArray
}

/**
 * A model with its contract: images in, vectors of one embedding space out.
 *
 * Any thread may call it; a model runs one image at a time, so that calls wait for each other. Call it from a
 * background thread: resizing a photograph and running the model take longer than a frame.
 */
class HeteroModel private constructor(val contract: Contract, private val engine: Engine) : AutoCloseable {
    /** The runtime that was taken, and what it computes on. */
    val engineName: String get() = engine.name

    /** Embeds an upright picture on its ground. */
    fun embed(picture: Picture): Embedding = embed(fit(picture, contract.preprocessing))

    /** Embeds RGB bytes of the model's own size. */
    @Synchronized
    fun embed(pixels: ByteArray): Embedding {
        val vector = engine.run(pixels)
        check(vector.size == contract.output.dimension) { "${engine.name} gave ${vector.size} numbers" }
        return Embedding(contract.spaceId, vector)
    }

    @Synchronized
    override fun close() = engine.close()

    companion object {
        /** Tries engines in turn, until one loads the model and embeds a first image. */
        fun load(contract: Contract, engines: List<() -> Engine>): HeteroModel {
            val blank = ByteArray(contract.preprocessing.width * contract.preprocessing.height * 3)
            val failures = ArrayList<String>()
            for (make in engines) {
                var engine: Engine? = null
                try {
                    engine = make()
                    return HeteroModel(contract, engine).also { it.embed(blank) }
                } catch (error: Exception) {
                    failures += "${engine?.name ?: "loading"}: ${error.message}"
                    engine?.close()
                } catch (error: LinkageError) {
                    failures += "a runtime is missing: ${error.message}"
                }
            }
            throw IllegalStateException("no engine runs the model: ${failures.joinToString("; ")}")
        }
    }
}
