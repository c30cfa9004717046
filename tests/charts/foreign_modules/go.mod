// Carry definitions of resources that the charts make objects of. Nothing is built from them.
module definitions

go 1.24

require (
	github.com/cert-manager/cert-manager v1.21.2
	github.com/kedacore/keda/v2 v2.21.0
	github.com/prometheus-operator/prometheus-operator v0.85.0
)
