package publish

import "fmt"

func open(a Account) (driver, error) {
	switch a.Provider {
	case RFC2136:
		return openUpdate(a)
	}
	return nil, fmt.Errorf("%s can't be written yet", a.Provider)
}
