module palmops/services/gateway

go 1.26

require palmops/libs v0.0.0

replace palmops/libs => ../../libs
