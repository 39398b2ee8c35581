"""Options that several objectives have. Needs no torch."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge
from typing_extensions import Doc

from hetero.constraints import NotNegative, Positive

Temperature = Annotated[Positive, Doc("divides the cosines")]
Centred = Annotated[bool, Doc("compare directions from the mean of the cloud's vectors")]
Alpha = Annotated[NotNegative, Doc("weight of every image")]
Beta = Annotated[NotNegative, Doc("further weight where the old model is right")]
Neighbours = Annotated[int, Ge(2), Doc("neighbours of each image in the cloud's eyes; more than its class has")]
