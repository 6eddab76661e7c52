"""Runs .tflite files in LiteRT (its reference kernels, and those it takes by default) or in TensorFlow Lite Micro.

Arguments: reference, default or micro; then for every file its path and that of its images (bytes). Writes all logits to standard output, one byte
each, in the order of the arguments.
"""
import sys
import numpy


def runner(runtime, model):
    if runtime == "micro":
        from tflite_micro import runtime as micro

        interpreter = micro.Interpreter.from_bytes(model)
        shape = interpreter.get_input_details(0)["shape"]

        def run(image):
            interpreter.set_input(image, 0)
            interpreter.invoke()
            return interpreter.get_output(0)

        return shape, run
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.BUILTIN_REF if runtime == "reference" else OpResolverType.AUTO
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]["index"]

    def run(image):
        interpreter.set_tensor(source["index"], image)
        interpreter.invoke()
        return interpreter.get_tensor(target)

    return source["shape"], run


runtime, *paths = sys.argv[1:]
for model, images in zip(paths[::2], paths[1::2]):
    shape, run = runner(runtime, open(model, "rb").read())
    pixels = numpy.fromfile(images, numpy.uint8).astype(numpy.int16) - 128
    for image in pixels.astype(numpy.int8).reshape(-1, *shape):
        logits = run(image.reshape(shape))
        assert logits.dtype == numpy.int8 and logits.ndim == 2 and logits.shape[0] == 1
        sys.stdout.buffer.write(logits.tobytes())
