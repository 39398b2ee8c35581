"""The only folder that travels to a device: embeds images with one runtime, or times models on it.

Needs Python 3.9, numpy and the runtime; Pillow, where the device's own decoding is to be proven; usearch, where a
gallery is searched. Started as
``python -m runner RUNTIME``, it imports the runtime once, and then reads the path of a job from each line of its
standard input::

    {"model": FILE, "images": FILE.npy, "output": FILE.npz, "report": FILE.json, "errors": FILE, "warm_up": 3,
     "settings": {runtime option: value}, "contract": preprocess.json's content,
     "originals": [{"file": FILE, "image": row of the image that the contract makes of it, or null}],
     "gallery": what :mod:`device_tests.runner.carried` takes, or null}

Images are uint8 [n, h, w, 3]; each is embedded on its own, as an application does it, with one thread. The output holds
``embeddings``, float32 [n, d]; with originals also ``pixels``, uint8 [o, h, w, 3], which this device made of them, and
the ``pixel_embeddings``, float32 [e, d], of those that name an image; with a gallery, ``near`` and ``exact``, the keys
that a search of it finds.

A job that times models names several, which may take anything; its report holds the ``seconds`` of each::

    {"models": [FILE, ...], "report": FILE.json, "errors": FILE, "runs": 20, "at_least_seconds": 0.002}

Each job has a process of its own: a model that crashes its runtime ends that job and no other, and memory is counted
for each. Standard output carries lines ``done total`` now and then, for a progress bar, and ``exit STATUS`` when a job
has ended; a negative status is that of a signal.
"""

from __future__ import annotations

import sys

# Elsewhere than on Linux, a copy of a process that has loaded system libraries may not run on.
COPIES = sys.platform == "linux"
"""True if a process is copied for each job."""
NOT_VERIFIED = 3
"""Exit status when the runtime says that it cannot tell: neither the model's fault nor a pass."""
