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
	for _, d := range c.doors() {
		if d.section != "milter" {
			faults = append(faults, b.src.fault(d.section, "is not in this version; leave out the section [%s]", d.section))
		}
	}
	if c.Release.Via == ReleaseViaRelay {
		faults = append(faults, b.src.fault("release.via", `"relay" is not in this version; want Postfix's "host:port", as "127.0.0.1:25"`))
	}
	return faults.sorted()
}
