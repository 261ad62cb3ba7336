import keras
import numpy as np

from src.train.optimizer import Adam


def after_steps(optimizer: keras.optimizers.Optimizer) -> np.ndarray:
    rng = np.random.default_rng(0)
    variable = keras.Variable(rng.normal(size=1000).astype(np.float32))
    optimizer.build([variable])
    for _ in range(50):
        optimizer.apply([rng.normal(size=1000).astype(np.float32)])
    return variable.numpy()


def test_it_takes_the_steps_of_keras():
    ours, keras_own = after_steps(Adam(0.01)), after_steps(keras.optimizers.Adam(0.01))
    np.testing.assert_allclose(ours, keras_own, rtol=1e-4, atol=1e-6)
