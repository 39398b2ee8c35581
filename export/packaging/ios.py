"""iOS and macOS: a Swift package that carries the Core ML package as it is; it is compiled on the device."""

from __future__ import annotations

from collections.abc import Mapping

from export.app.contract import AppContract
from export.packaging.platform import Platform

_TARGET = "Sources/Hetero"

_PACKAGE = """\
// swift-tools-version:5.9
import PackageDescription

let package = Package(
    name: "Hetero",
    platforms: [.iOS(.v16), .macOS(.v13)],
    products: [.library(name: "Hetero", targets: ["Hetero"])],
    targets: [.target(name: "Hetero", resources: [.copy("hetero")])]
)
"""

_RESOURCES = """\
import Foundation

/// The folder of `contract.json`, the model and the self-test.
public let heteroResources = Bundle.module.url(forResource: "hetero", withExtension: nil)!
"""


def _files(_contract: AppContract, _code: Mapping[str, str]) -> Mapping[str, str]:
    return {"Package.swift": _PACKAGE, f"{_TARGET}/Resources.swift": _RESOURCES}


IOS = Platform(
    name="ios",
    formats=("coreml",),
    language="swift",
    code=_TARGET,
    resources=f"{_TARGET}/hetero",
    model=f"{_TARGET}/hetero",
    files=_files,
    folder="heteroResources",
)
