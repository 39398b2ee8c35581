"""Networks: cloud backbones, the edge family and pretrained ones."""
