module palmops/services/palmops

go 1.26

require (
	palmops/libs v0.0.0
	palmops/services/dialog v0.0.0
	palmops/services/executor v0.0.0
	palmops/services/gateway v0.0.0
	palmops/services/simulator v0.0.0
)

replace (
	palmops/libs => ../../libs
	palmops/services/dialog => ../dialog
	palmops/services/executor => ../executor
	palmops/services/gateway => ../gateway
	palmops/services/simulator => ../simulator
)
