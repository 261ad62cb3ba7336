"""The report's own pipeline, from its listings: ImageDataGenerator, flow_from_directory, fit.

Sections 2.1 to 2.3 of the report. What its listings leave open is as in params.yaml: where dropout sits, how wide the
dense layer is, and the generators' arguments, which are those its text gives: size, grey, batches of 32.
"""

from pathlib import Path

import keras
from keras.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, Input, MaxPooling2D
from keras.src.legacy.preprocessing.image import DirectoryIterator, ImageDataGenerator


def generators(folder: Path, size: int, zoom: float = 0.2) -> tuple[DirectoryIterator, DirectoryIterator]:
    """Training and test batches of the images in `folder`/{train,test}/<label>/."""
    flow = {"target_size": (size, size), "color_mode": "grayscale", "batch_size": 32, "class_mode": "categorical"}
    train = ImageDataGenerator(rescale=1.0 / 255, zoom_range=zoom).flow_from_directory(folder / "train", **flow)
    test = ImageDataGenerator(rescale=1.0 / 255).flow_from_directory(folder / "test", **flow)
    return train, test


def network(size: int, labels: int) -> keras.Sequential:
    model = keras.Sequential()
    model.add(Input((size, size, 1)))
    model.add(Conv2D(16, kernel_size=(3, 3), activation="relu"))
    model.add(MaxPooling2D(pool_size=(2, 2)))
    model.add(BatchNormalization())

    model.add(Conv2D(32, kernel_size=(3, 3), activation="relu"))
    model.add(MaxPooling2D(pool_size=(2, 2)))
    model.add(BatchNormalization())

    model.add(Conv2D(64, kernel_size=(3, 3), activation="relu"))
    model.add(MaxPooling2D(pool_size=(2, 2)))
    model.add(MaxPooling2D(pool_size=(2, 2)))
    model.add(BatchNormalization())

    model.add(Dropout(0.25))
    model.add(Flatten())
    model.add(Dense(512, activation="relu"))
    model.add(Dense(labels, activation="softmax"))
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    return model
