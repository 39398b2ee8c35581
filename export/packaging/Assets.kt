package hetero

import android.content.Context
import android.content.res.AssetManager
import java.io.File
import org.json.JSONObject

/**
 * Copies the contract, the model and the self-test out of the assets, because runtimes read files, and returns their folder:
 * `File(folder, "contract.json")`. Done once for each model; call it from a background thread.
 */
fun installed(context: Context): File {
    val contract = context.assets.open("hetero/contract.json").bufferedReader().use { it.readText() }
    val folder = File(context.noBackupFilesDir, "hetero-${JSONObject(contract).getString("sha256")}")
    if (folder.isDirectory) return folder
    val unfinished = File(folder.path + ".unfinished")
    unfinished.deleteRecursively()
    copy(context.assets, "hetero", unfinished)
    check(unfinished.renameTo(folder) || folder.isDirectory) { "$unfinished cannot be renamed" }
    return folder
}

private fun copy(assets: AssetManager, path: String, target: File) {
    val names = assets.list(path).orEmpty()
    if (names.isEmpty()) {
        assets.open(path).use { from -> target.outputStream().use { from.copyTo(it) } }
        return
    }
    check(target.mkdirs()) { "$target cannot be made" }
    names.forEach { copy(assets, "$path/$it", File(target, it)) }
}
