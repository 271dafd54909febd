"""The catalogs of the data room: literal tables, no import of what they name."""

__all__ = ["AUGMENTATIONS"]

AUGMENTATIONS = {
    "back-translation": "netwright.data.augment.text:BackTranslation",
    "brightness": "netwright.data.augment.colour:Brightness",
    "contrast": "netwright.data.augment.colour:Contrast",
    "crop": "netwright.data.augment.geometry:Crop",
    "cutmix": "netwright.data.augment.mixing:CutMix",
    "delete-words": "netwright.data.augment.text:DeleteWords",
    "erase": "netwright.data.augment.geometry:Erase",
    "flip": "netwright.data.augment.geometry:Flip",
    "insert-words": "netwright.data.augment.text:InsertWords",
    "mixup": "netwright.data.augment.mixing:Mixup",
    "noise": "netwright.data.augment.colour:Noise",
    "resized-crop": "netwright.data.augment.geometry:ResizedCrop",
    "rotate": "netwright.data.augment.geometry:Rotate",
    "saturation": "netwright.data.augment.colour:Saturation",
    "swap-words": "netwright.data.augment.text:SwapWords",
    "synonyms": "netwright.data.augment.text:Synonyms",
}
