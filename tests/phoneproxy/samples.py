"""A configuration as a cluster of two nodes serves it."""

from __future__ import annotations

from cubeproxy.phoneproxy.view import AccessView
from cubeproxy.protocols.values import Transport

CONFIG = b"""\xef\xbb\xbf<?xml version="1.0" encoding="UTF-8"?>
<!-- made by the cluster -->
<device  xsi:type="axl:XIPPhone" ctiid="7" uuid="{a>b}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<fullConfig>true</fullConfig>
<deviceProtocol>SIP</deviceProtocol>
<devicePool>
 <callManagerGroup><name>Default</name><members>
  <member priority="0"><callManager><name>ccm-pub</name><ports><ethernetPhonePort>2000</ethernetPhonePort>
   <sipPort>5062</sipPort><securedSipPort>5063</securedSipPort></ports>
   <processNodeName>198.51.100.11</processNodeName></callManager></member>
  <member priority='1'><callManager><name>ccm-sub</name><ports><sipPort>5062</sipPort>
   <securedSipPort>5063</securedSipPort></ports><processNodeName>ccm-sub.lab</processNodeName></callManager></member>
 </members></callManagerGroup>
 <srstInfo><srstOption>Disable</srstOption><ipAddr1>198.51.100.9</ipAddr1><port1>2000</port1><sipIpAddr1/></srstInfo>
</devicePool>
<TVS><members><member priority="0"><port>2445</port><address>198.51.100.11</address></member></members></TVS>
<sipProfile><sipProxies><backupProxy>USECALLMANAGER</backupProxy></sipProxies><voipControlPort>5060</voipControlPort>
 <sipLines><line button="1"><name>1001</name><authPassword>s\xc3\xa9cret</authPassword></line></sipLines></sipProfile>
<transportLayerProtocol>4</transportLayerProtocol>
<deviceSecurityMode>1</deviceSecurityMode>
<capfAuthMode>2</capfAuthMode>
<capfList><capf><phonePort>3804</phonePort><processNodeName>198.51.100.11</processNodeName></capf></capfList>
<certHash></certHash><encrConfig>true</encrConfig>
<servicesURL> http://198.51.100.11:8080/getservices?a=1&amp;b=2</servicesURL>
<secureServicesURL><![CDATA[https://CCM-PUB.lab:8443/services]]></secureServicesURL>
<directoryURL>http://198.51.100.11/directory</directoryURL>
<phoneServices useHTTPS="true"><phoneService><url>Application:Cisco/MissedCalls</url></phoneService></phoneServices>
<vendorConfig><webAccess>0</webAccess><garp>1</garp></vendorConfig>
<versionStamp>{1-2}</versionStamp>
</device>
"""

VIEW = AccessView(
    secure=True,
    transport=Transport.TLS,
    nodes={"198.51.100.11": "192.0.2.1", "198.51.100.12": "192.0.2.1"},
    node="192.0.2.1",
    capf=("192.0.2.1", 3804),
    services={("198.51.100.11", 8080): ("192.0.2.1", 18080), ("198.51.100.11", 8443): ("192.0.2.1", 8443)},
    names={"ccm-pub.lab": "198.51.100.11"},
)
