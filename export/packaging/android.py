"""Android: a Gradle library module, alone or with the model in an AI pack that Google Play delivers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from export.app.contract import ANDROID_RUNTIMES, AppContract
from export.packaging.platform import Platform

_ASSETS, _CODE = "src/main/assets/hetero", "src/main/kotlin"

_MODULE = """\
plugins {{
    id("com.android.library")
    id("org.jetbrains.kotlin.android")
}}

android {{
    namespace = "hetero.app"
    compileSdk = 35
    defaultConfig {{ minSdk = 26 }}
}}

kotlin {{ jvmToolchain(17) }}

dependencies {{
    implementation("{runtime}")
    implementation("androidx.exifinterface:exifinterface:1.4.1")
}}
"""

_MANIFEST = """\
<?xml version="1.0" encoding="utf-8"?>
<manifest />
"""

_AI_PACK = """\
// The application names this pack (assetPacks += ":hetero_model"; Android Gradle plugin 8.8 or later). Delivered at
// installation, its assets are the application's own.
plugins {
    id("com.android.ai-pack")
}

aiPack {
    packName = "hetero_model"
    dynamicDelivery {
        deliveryType = "install-time"
    }
}
"""


def _library(contract: AppContract, _code: Mapping[str, str]) -> dict[str, str]:
    return {
        "build.gradle.kts": _MODULE.format(runtime=contract.android_runtime),
        "src/main/AndroidManifest.xml": _MANIFEST,
        f"{_CODE}/Assets.kt": (Path(__file__).parent / "Assets.kt").read_text(encoding="utf-8"),
    }


def _two_modules(contract: AppContract, code: Mapping[str, str]) -> Mapping[str, str]:
    library = {f"hetero/{path}": text for path, text in _library(contract, code).items()}
    return library | {"hetero_model/build.gradle.kts": _AI_PACK}


ANDROID = Platform(
    name="android",
    formats=tuple(ANDROID_RUNTIMES),
    language="kotlin",
    code=_CODE,
    resources=_ASSETS,
    model=_ASSETS,
    files=_library,
    folder="installed(context)",
)
AI_PACK = Platform(
    name="android-ai-pack",
    formats=tuple(ANDROID_RUNTIMES),
    language="kotlin",
    code=f"hetero/{_CODE}",
    resources=f"hetero/{_ASSETS}",
    model=f"hetero_model/{_ASSETS}",
    files=_two_modules,
    folder="installed(context)",
    usual=False,
)
