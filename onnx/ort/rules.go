package ort

import "regexp"

// rule rewrites one kind of the runtime's messages. text and advice may use
// $1, $2, … of the pattern.
type rule struct {
	pattern *regexp.Regexp
	text    string
	advice  string
	is      error // what errors.Is finds, if there is something to find
}

func re(s string) *regexp.Regexp { return regexp.MustCompile(`(?s)` + s) }

const (
	adviceNewer  = "use a newer ONNX Runtime, or export the model for an older one"
	adviceMemory = "use a smaller batch or shorter inputs, or free memory that other programs hold"
	adviceCard   = "nvidia-smi lists the cards that the driver sees; --device cpu needs none"
	adviceFolder = "the files of the weights must lie in the model's own folder, whole and not as links out of it"
)

// rules are tried in order. The messages are those of versions 1.24 and 1.31.
var rules = []rule{
	// the model itself
	{
		pattern: re(`(?i)protobuf parsing failed`),
		text:    "the bytes are not an ONNX model",
		advice:  "the file may be cut short or a Git LFS pointer: fetch it again",
	},
	{
		pattern: re(`In Node, \("([^"]*)", .*No Op registered for (\S+) with domain_version of (\d+)`),
		text:    "node $1: there is no operator $2 in opset $3",
		advice:  adviceNewer,
	},
	{
		pattern: re(`Fatal error: (?:ai\.onnx:|:)?(\S+?)\(-?\d+\) is not a registered function/op`),
		text:    "ONNX Runtime has no operator $1",
		advice:  "stock builds of ONNX Runtime have neither training operators nor those of other vendors",
	},
	{
		pattern: re(`Could not find an implementation for (\w+)\((\d+)\) node with name '([^']*)'`),
		text:    "node $3: no kernel for $1 of opset $2 with these types on this device",
		advice:  "try --precision fp32, or another --device",
	},
	{
		pattern: re(`Unsupported model IR version: (\d+), max supported IR version: (\d+)`),
		text:    "the model has IR version $1, and this ONNX Runtime reads up to $2",
		advice:  adviceNewer,
	},
	{
		pattern: re(`Opset (\d+) is under development.*support for domain (\S+) is till opset (\d+)`),
		text:    "the model uses opset $1 of $2, and this ONNX Runtime reads up to $3",
		advice:  adviceNewer,
	},
	{
		pattern: re(`Type parameter \((\w+)\) of Optype \((\w+)\) bound to different types \(tensor\((\w+)\) and tensor\((\w+)\) in node \(([^)]*)\)`),
		text:    "node $5: $2 wants operands of one type, not $3 and $4",
	},

	// external data
	{
		pattern: re(`for initializer: (\S+)\. Error: .*path does not exist: "([^"]*)"`),
		text:    "weight $1: file $2 does not exist", advice: adviceFolder,
	},
	{
		pattern: re(`cannot get file size: No such file or directory \[([^\]]*)\]`),
		text:    "file $1 of the model's weights does not exist", advice: adviceFolder,
	},
	{
		pattern: re(`for initializer: (\S+)\. Error: .*External data path.*?: "([^"]*)".* escapes`),
		text:    "weight $1: path $2 leaves the model's folder", advice: adviceFolder,
	},
	{
		pattern: re(`for initializer: (\S+)\. Error: .*External data path escapes.*?: "([^"]*)"`),
		text:    "weight $1: path $2 leaves the model's folder", advice: adviceFolder,
	},
	{
		pattern: re(`for initializer: (\S+)\. Error: .*Absolute paths? not allowed`),
		text:    "weight $1: its path is absolute", advice: adviceFolder,
	},
	{
		pattern: re(`External initializer: (\S+) offset: (\d+) size to read: (\d+) given file_length: (\d+)`),
		text:    "weight $1: $3 bytes at offset $2 are beyond the end of its file, which has $4", advice: "the file may be cut short: fetch it again",
	},
	{
		pattern: re(`TensorProto: (\S+) external data size mismatch\. Computed size: (\d+), external_data\.length: (\d+)`),
		text:    "weight $1: its shape takes $2 bytes and the model says $3",
	},
	{
		pattern: re(`model_path must not be empty`),
		text:    "the model's weights lie in other files, and their folder was not given", advice: adviceFolder,
	},

	// runs
	{
		pattern: re(`output '([^']*)' of node.* has shape \{([^}]*)\} but the computed output shape for this run is \{([^}]*)\}`),
		text:    "output $1 has shape [$2], and this run gives [$3]",
	},
	{
		pattern: re(`OrtValue shape verification failed\. Current shape:\{([^}]*)\} Requested shape:\{([^}]*)\}`),
		text:    "its output has shape [$1], and this run gives [$2]",
	},

	// memory
	{pattern: re(`std::bad_alloc`), text: "out of memory", advice: adviceMemory, is: ErrOutOfMemory},
	{
		pattern: re(`Failed to allocate memory for requested buffer of size (\d+)`),
		text:    "out of memory: no $1 bytes left on the device", advice: adviceMemory, is: ErrOutOfMemory,
	},
	{
		pattern: re(`CUDA failure 2\b|CUDA out of memory|CUBLAS_STATUS_ALLOC_FAILED`),
		text:    "out of memory on the card", advice: adviceMemory, is: ErrOutOfMemory,
	},

	// devices
	{
		pattern: re(`(lib[\w.+-]+\.(?:so|dylib)[\w.]*): cannot open shared object file`),
		text:    "library $1 is missing",
		advice:  "install the CUDA and cuDNN versions that this ONNX Runtime was built for, put the folder of $1 on LD_LIBRARY_PATH, or use --device cpu",
	},
	{
		pattern: re(`CUDA failure 100\b|no CUDA-capable device is detected`),
		text:    "there is no CUDA card", advice: adviceCard,
	},
	{
		pattern: re(`CUDA failure 35\b|driver version is insufficient`),
		text:    "the driver of the card is too old for the CUDA libraries", advice: "update the driver, or use --device cpu",
	},
	{
		pattern: re(`CUDA failure 101\b|invalid device ordinal`),
		text:    "there is no card of this number", advice: adviceCard,
	},
	{
		pattern: re(`CUDA execution provider is (?:either )?not enabled`),
		text:    "this ONNX Runtime was built without CUDA", advice: "use the GPU package of ONNX Runtime, or --device cpu",
	},
	{
		pattern: re(`Unknown provider option: "?([^"]*)"?`),
		text:    "the provider knows no option $1",
	},
	{
		pattern: re(`symbol CreateEpFactories`),
		text:    "it is not the library of an execution provider", advice: "CUDA is --device cuda; a library is for providers that come as a plugin",
	},
}
