package hetero

import org.json.JSONArray
import org.json.JSONObject

/** What is done to an image before the model; everything after that is in the model's graph. */
class Preprocessing(
    val width: Int,
    val height: Int,
    /** `squash`, `pad` or `crop`. */
    val resize: String,
    /** `bilinear` or `bicubic`, always antialiased. */
    val filter: String,
    /** Grey level of the background and behind transparent parts. */
    val padValue: Int,
    /** Values that become black and white in grey files of more than 8 bits; null if files use all of 16 bits. */
    val greyRange: Pair<Double, Double>? = null
)

/** A model's output: where [scale] is not 0, a value is `scale * (byte - zeroPoint)`. */
class Output(val name: String, val dimension: Int, val scale: Double, val zeroPoint: Int) {
    /** Returns the numbers that the bytes of a quantised output stand for. */
    fun scaled(bytes: ByteArray): FloatArray =
        FloatArray(bytes.size) { (scale * ((bytes[it].toInt() and 0xff) - zeroPoint)).toFloat() }
}

/** An image with the vector that it must give; both are paths beside the contract. */
class SelfTestCase(val image: String, val vector: String)

/** `contract.json`: all that an application has to know of its model. */
class Contract(
    /** `litert` or `onnx`. */
    val format: String,
    /** Path of the model beside the contract. */
    val model: String,
    /** Vectors compare only within one space. */
    val spaceId: String,
    val preprocessing: Preprocessing,
    val inputName: String,
    val output: Output,
    /** The self-test passes if the cosine with each expected vector is at least this. */
    val leastCosine: Double,
    val selfTest: List<SelfTestCase>
) {
    companion object {
        private const val SCHEMA = "hetero/app/1"

        /** Reads the text of `contract.json`. */
        fun parse(text: String): Contract {
            val json = JSONObject(text)
            require(json.getString("schema") == SCHEMA) { "not a contract of the kind $SCHEMA" }
            val input = json.getJSONObject("input")
            require(input.getString("type") == "uint8") { "the model takes ${input.getString("type")}, not bytes" }
            val output = json.getJSONObject("output")
            val space = json.getJSONObject("space")
            val cases = json.getJSONArray("self_test")
            return Contract(
                json.getString("format"),
                json.getString("model"),
                space.getString("space_id"),
                preprocessing(json.getJSONObject("preprocessing")),
                input.getString("name"),
                Output(
                    output.getString("name"),
                    space.getInt("dimension"),
                    output.getDouble("scale"),
                    output.getInt("zero_point")
                ),
                json.getDouble("least_cosine"),
                List(cases.length()) { selfTestCase(cases.getJSONObject(it)) }
            )
        }

        private fun preprocessing(json: JSONObject): Preprocessing {
            val range: JSONArray? = json.optJSONArray("grey_range")
            return Preprocessing(
                json.getInt("width"),
                json.getInt("height"),
                json.getString("resize"),
                json.getString("filter"),
                json.getInt("pad_value"),
                if (range == null) null else Pair(range.getDouble(0), range.getDouble(1))
            )
        }

        private fun selfTestCase(json: JSONObject) = SelfTestCase(json.getString("image"), json.getString("vector"))
    }
}
