// Public signatures of LiteRT's interpreter, as far as the application's code uses them.
@file:Suppress("unused", "UNUSED_PARAMETER")

package org.tensorflow.lite

import java.io.File

interface Delegate : AutoCloseable

class Interpreter(modelFile: File, options: Options?) : AutoCloseable {
    class Options {
        fun setNumThreads(numThreads: Int): Options = TODO()

        fun addDelegate(delegate: Delegate): Options = TODO()
    }

    fun run(input: Any, output: Any): Unit = TODO()

    override fun close(): Unit = TODO()
}
