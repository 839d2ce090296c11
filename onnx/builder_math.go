package onnx

// Elementwise operators. Operands broadcast against each other as in NumPy,
// and have one type; results are of that type, or bool for comparisons.

// Add returns x + y.
func (b *Builder) Add(x, y string) string { return b.Op("Add", []string{x, y}) }

// Sub returns x − y.
func (b *Builder) Sub(x, y string) string { return b.Op("Sub", []string{x, y}) }

// Mul returns x · y.
func (b *Builder) Mul(x, y string) string { return b.Op("Mul", []string{x, y}) }

// Div returns x / y; of integers, truncated.
func (b *Builder) Div(x, y string) string { return b.Op("Div", []string{x, y}) }

// Scale returns x · c for a constant c; c = 1 returns x itself.
func (b *Builder) Scale(x string, c float64) string {
	if c == 1 {
		return x
	}
	return b.Mul(x, b.Float(c, x))
}

// Pow returns x to the power y.
func (b *Builder) Pow(x, y string) string { return b.Op("Pow", []string{x, y}) }

// Neg returns −x.
func (b *Builder) Neg(x string) string { return b.Op("Neg", []string{x}) }

// Abs returns |x|.
func (b *Builder) Abs(x string) string { return b.Op("Abs", []string{x}) }

// Sign returns −1, 0 or 1.
func (b *Builder) Sign(x string) string { return b.Op("Sign", []string{x}) }

// Sqrt returns the square root of x.
func (b *Builder) Sqrt(x string) string { return b.Op("Sqrt", []string{x}) }

// Reciprocal returns 1 / x.
func (b *Builder) Reciprocal(x string) string { return b.Op("Reciprocal", []string{x}) }

// Exp returns e to the power x.
func (b *Builder) Exp(x string) string { return b.Op("Exp", []string{x}) }

// Log returns the natural logarithm of x.
func (b *Builder) Log(x string) string { return b.Op("Log", []string{x}) }

// Sin returns the sine of x.
func (b *Builder) Sin(x string) string { return b.Op("Sin", []string{x}) }

// Cos returns the cosine of x.
func (b *Builder) Cos(x string) string { return b.Op("Cos", []string{x}) }

// Erf returns the error function of x.
func (b *Builder) Erf(x string) string { return b.Op("Erf", []string{x}) }

// Tanh returns the hyperbolic tangent of x.
func (b *Builder) Tanh(x string) string { return b.Op("Tanh", []string{x}) }

// Sigmoid returns 1 / (1 + e^−x).
func (b *Builder) Sigmoid(x string) string { return b.Op("Sigmoid", []string{x}) }

// Relu returns max(x, 0).
func (b *Builder) Relu(x string) string { return b.Op("Relu", []string{x}) }

// FastGelu returns 0.5x(1 + tanh(√(2/π)(x + 0.044715x³))), which T5 calls
// gelu_new, as ONNX Runtime's fused operator.
func (b *Builder) FastGelu(x string) string { return b.Op("com.microsoft.FastGelu", []string{x}) }

// Min returns the smallest of its operands.
func (b *Builder) Min(x ...string) string { return b.Op("Min", x) }

// Max returns the largest of its operands.
func (b *Builder) Max(x ...string) string { return b.Op("Max", x) }

// Where returns x where cond holds and y elsewhere.
func (b *Builder) Where(cond, x, y string) string { return b.Op("Where", []string{cond, x, y}) }

// Equal compares for equality.
func (b *Builder) Equal(x, y string) string { return b.Op("Equal", []string{x, y}) }

// Less tells where x < y.
func (b *Builder) Less(x, y string) string { return b.Op("Less", []string{x, y}) }

// LessOrEqual tells where x ≤ y.
func (b *Builder) LessOrEqual(x, y string) string { return b.Op("LessOrEqual", []string{x, y}) }

// Greater tells where x > y.
func (b *Builder) Greater(x, y string) string { return b.Op("Greater", []string{x, y}) }

// GreaterOrEqual tells where x ≥ y.
func (b *Builder) GreaterOrEqual(x, y string) string { return b.Op("GreaterOrEqual", []string{x, y}) }

// Not negates a bool tensor.
func (b *Builder) Not(x string) string { return b.Op("Not", []string{x}) }

// And tells where both bool tensors hold.
func (b *Builder) And(x, y string) string { return b.Op("And", []string{x, y}) }

// Or tells where either bool tensor holds.
func (b *Builder) Or(x, y string) string { return b.Op("Or", []string{x, y}) }

// Cast converts the elements of x; x itself when it has the type already.
func (b *Builder) Cast(x string, to DType) string {
	if b.Type(x) == to {
		return x
	}
	return b.Op("Cast", []string{x}, IntAttr("to", int64(to)))
}

// Identity returns x under another name.
func (b *Builder) Identity(x string) string { return b.Op("Identity", []string{x}) }
