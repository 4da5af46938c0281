package mail

// Header is the message header, in order.
type Header []Field

// Bytes returns the header as it goes on the wire, without the empty line.
func (h Header) Bytes() []byte {
	n := 0
	for _, f := range h {
		n += len(f.Raw)
	}
	b := make([]byte, 0, n)
	for _, f := range h {
		b = append(b, f.Raw...)
	}
	return b
}

// Get returns the value of the first field of that name, or "".
func (h Header) Get(name string) string {
	for _, f := range h {
		if f.is(name) {
			return f.Value()
		}
	}
	return ""
}

// All returns the fields of that name, in order.
func (h Header) All(name string) []Field {
	var all []Field
	for _, f := range h {
		if f.is(name) {
			all = append(all, f)
		}
	}
	return all
}

// only returns the one field of that name and how many there are.
func (h Header) only(name string) (f Field, n int) {
	for i := range h {
		if h[i].is(name) {
			f = h[i]
			n++
		}
	}
	return f, n
}
