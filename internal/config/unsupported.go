package config

// Unsupported returns what the configuration asks for and this version doesn't have,
// as Errors, or nil: better no start than a door that is silently closed. Load
// accepts it, so that the fault can be told from one of the file.
func (c *Config) Unsupported() error {
	if len(c.unsupported) == 0 {
		return nil
	}
	return c.unsupported
}

func (b *builder) unsupported(c *Config) Errors {
	var faults Errors
	if !c.Web.Listen.IsZero() {
		faults = append(faults, b.src.fault("web", "is not in this version; leave out the section [web]"))
	}
	return faults.sorted()
}
