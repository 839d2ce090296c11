"""Writes the hostile prompt files beside it."""

import json
import struct


def npy(name, header, body=b"", version=(1, 0), length=None, magic=b"\x93NUMPY"):
    header = header.encode()
    n = len(header) if length is None else length
    size = struct.pack("<H" if version[0] == 1 else "<I", n)
    with open(name + ".npy", "wb") as f:
        f.write(magic + bytes(version) + size + header + body)


def head(descr="<f4", order="False", shape="2, 3"):
    return "{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }\n" % (descr, order, shape)


six = struct.pack("<6f", *range(6))
npy("empty-header", "", six)
npy("no-dict", "hello\n", six)
npy("code", "{'descr': __import__('os').system('true'), 'fortran_order': False, 'shape': (2, 3), }\n", six)
npy("header-longer-than-file", head(), length=60000)
npy("wide-header-longer-than-file", head(), version=(2, 0), length=0xFFFFFFFF)
npy("version-9", head(), six, version=(9, 0))
npy("truncated", head(), six[:-1])
npy("trailing", head(), six + b"\0\0\0\0")
npy("more-than-the-file", head(shape="1000000, 1000000"), six)
npy("overflow", head(shape="4294967296, 4294967296"), six)
npy("beyond-int64", head(shape="99999999999999999999, 3"), six)
npy("negative", head(shape="-2, -3"), six)
npy("zero", head(shape="0, 3"))
npy("scalar", head(shape=""), six[:4])
npy("vector", head(shape="6,"), six)
npy("cube", head(shape="1, 2, 3"), six)
npy("commas", head(shape="2,, 3"), six)
npy("fortran", head(order="True"), six)
npy("big-endian", head(descr=">f4"), six)
npy("object", head(descr="|O"), b"\x80\x04N.")
npy("int", head(descr="<i4"), six)
npy("nan", head(), struct.pack("<6f", 0, 1, 2, 3, float("nan"), 5))
npy("too-big-for-float32", head(descr="<f8"), struct.pack("<6d", 0, 1, 2, 3, 4, 1e300))
with open("magic-only.npy", "wb") as f:
    f.write(b"\x93NUMPY")
with open("empty.npy", "wb") as f:
    pass


def st(name, metadata=None, dtype="F32", shape=(2, 3), body=six, tensor="prompt"):
    good = {"softprompt.format": "1", "softprompt.method": "prompt-tuning", "softprompt.length": "2", "softprompt.d_model": "3"}
    good.update(metadata or {})
    header = {"__metadata__": {k: v for k, v in good.items() if v is not None}}
    if tensor is not None:
        header[tensor] = {"dtype": dtype, "shape": list(shape), "data_offsets": [0, len(body)]}
    else:
        body = b""
    text = json.dumps(header).encode()
    with open(name + ".safetensors", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + body)


st("no-format", {"softprompt.format": None})
st("format-2", {"softprompt.format": "2"})
st("format-0", {"softprompt.format": "0"})
st("format-word", {"softprompt.format": "one"})
st("no-method", {"softprompt.method": None})
st("unknown-key", {"softprompt.surprise": "1"})
st("length-word", {"softprompt.length": "two"})
st("length-huge", {"softprompt.length": "99999999999999999999"})
st("length-wrong", {"softprompt.length": "3"})
st("width-wrong", {"softprompt.d_model": "4"})
st("negative-input", {"softprompt.max_input": "-1"})
st("negative-step", {"softprompt.step": "-1"})
st("score-word", {"softprompt.score": "good"})
st("size-word", {"softprompt.size.rank": "x"})
st("labels-not-json", {"softprompt.labels": "positive, negative"})
st("labels-numbers", {"softprompt.labels": "[1, 2]"})
st("calibration-word", {"softprompt.labels": '["a", "b"]', "softprompt.calibration": "0 x"})
st("calibration-count", {"softprompt.labels": '["a", "b"]', "softprompt.calibration": "0"})
st("calibration-nan", {"softprompt.labels": '["a", "b"]', "softprompt.calibration": "0 NaN"})
st("no-tensor", tensor=None)
st("other-tensor", tensor="weights")
st("cube", shape=(1, 2, 3))
st("ints", dtype="I32")
st("infinite", body=struct.pack("<6f", 0, 1, float("-inf"), 3, 4, 5))
st("short", body=six[:-4])
with open("nothing.safetensors", "wb") as f:
    pass
