"""CDA documents for tests: a C-CDA continuity of care document, and two of WS/T 500."""

from __future__ import annotations

CCD = """<?xml version="1.0" encoding="UTF-8"?>
<?xml-stylesheet type="text/xsl" href="http://stylesheet.example/CDA.xsl"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:sdtc="urn:hl7-org:sdtc">
  <realmCode code="US"/>
  <typeId root="2.16.840.1.113883.1.3" extension="POCD_HD000040"/>
  <templateId root="2.16.840.1.113883.10.20.22.1.1"/>
  <templateId root="2.16.840.1.113883.10.20.22.1.2" extension="2015-08-01"/>
  <id root="2.16.840.1.113883.19.5.99999.1" extension="{id}"/>
  <code code="34133-9" codeSystem="2.16.840.1.113883.6.1" displayName="Summarization of Episode Note"/>
  <title>Continuity of care: Riverside Clinic</title>
  <effectiveTime value="20240305083000+0800"/>
  <confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>
  <languageCode code="en-US"/>
  <setId root="2.16.840.1.113883.19.5.99999.19" extension="set-{set}"/>
  <versionNumber value="{version}"/>
  <recordTarget><patientRole>
    <id root="2.16.840.1.113883.19.5.99999.2" extension="{mrn}"/>
    <id nullFlavor="UNK" root="2.16.840.1.113883.4.1"/>
    <patient>
      <name use="L"><given>Sally</given><given>Ann</given><family>Synthetic</family></name>
      <administrativeGenderCode code="F" codeSystem="2.16.840.1.113883.5.1"/>
      <birthTime value="{birth}"/>
      <sdtc:raceCode code="2131-1" codeSystem="2.16.840.1.113883.6.238"/>
    </patient>
  </patientRole></recordTarget>
  <author><time value="20240305"/><assignedAuthor>
    <id extension="77" root="2.16.840.1.113883.4.6"/>
    <assignedPerson><name><prefix>Dr.</prefix><given>Henry</given><family>Seven</family></name></assignedPerson>
  </assignedAuthor></author>
  <custodian><assignedCustodian><representedCustodianOrganization>
    <id root="2.16.840.1.113883.19.5"/><name>Riverside  Clinic</name>
  </representedCustodianOrganization></assignedCustodian></custodian>
  {related}
  <documentationOf><serviceEvent classCode="PCPR">
    <effectiveTime><low value="{birth}"/><high value="20240305"/></effectiveTime>
  </serviceEvent></documentationOf>
  <component><structuredBody><component><section>
    <code code="10160-0" codeSystem="2.16.840.1.113883.6.1"/>
    <confidentialityCode code="{body}" codeSystem="2.16.840.1.113883.5.25"/>
    <text>Aspirin CANARY-BODY</text>
  </section></component></structuredBody></component>
</ClinicalDocument>
"""
ADMISSION = """<?xml version="1.0" encoding="{encoding}"?>
<ClinicalDocument xmlns="urn:hl7-org:v3">
  <realmCode code="CN"/>
  <typeId root="2.16.840.1.113883.1.3" extension="POCD_MT000040"/>
  <templateId root="2.16.156.10011.2.1.1.54"/>
  <id root="2.16.156.10011.1.1" extension="{id}"/>
  <code code="C0034" codeSystem="2.16.156.10011.2.4" codeSystemName="卫生信息共享文档规范编码体系"/>
  <title>{title}</title>
  <effectiveTime value="20240301101500"/>
  <confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25" displayName="正常访问保密级别"/>
  <languageCode code="zh-CN"/>
  <setId/><versionNumber/>
  <recordTarget typeCode="RCT" contextControlCode="OP"><patientRole classCode="PAT">
    <id root="2.16.156.10011.1.12" extension="{inpatient}"/>
    <patient classCode="PSN" determinerCode="INSTANCE">
      <id root="2.16.156.10011.1.3" extension="{identity}"/>
      <name>张三</name>
      <administrativeGenderCode code="2" codeSystem="2.16.156.10011.2.3.3.4" displayName="女性"/>
      <birthTime value="19491231"/><age value="74" unit="岁"/>
    </patient>
  </patientRole></recordTarget>
  <author typeCode="AUT"><time value="20240301"/><assignedAuthor classCode="ASSIGNED">
    <id root="2.16.156.10011.1.7" extension="1001"/>
    <assignedPerson><name>李医生</name></assignedPerson>
  </assignedAuthor></author>
  <custodian typeCode="CST"><assignedCustodian><representedCustodianOrganization>
    <id root="2.16.156.10011.1.5" extension="42500000-1"/><name>仁济医院</name>
  </representedCustodianOrganization></assignedCustodian></custodian>
  <relatedDocument typeCode="RPLC"><parentDocument><id/><setId/><versionNumber/></parentDocument></relatedDocument>
  <componentOf><encompassingEncounter>
    <id root="2.16.156.10011.1.12" extension="{inpatient}"/>
    <effectiveTime><low value="202402291200"/></effectiveTime>
  </encompassingEncounter></componentOf>
  <component><structuredBody><component><section><code code="10154-3" codeSystem="2.16.840.1.113883.6.1"/>
    <text>主诉：咳嗽三天</text></section></component></structuredBody></component>
</ClinicalDocument>
"""


def ccd(
    number: str = "TT988", *, set_number: str = "1", version: int = 1, mrn: str = "998991", body: str = "N",
    birth: str = "19750501", replaces: str = "",
) -> bytes:  # fmt: skip
    """A C-CDA document whose service began with the patient's birth, as real ones do."""
    parent = f'<parentDocument><id root="2.16.840.1.113883.19.5.99999.1" extension="{replaces}"/></parentDocument>'
    related = f'<relatedDocument typeCode="RPLC">{parent}</relatedDocument>' if replaces else ""
    return CCD.format(
        id=number, set=set_number, version=version, mrn=mrn, body=body, birth=birth, related=related
    ).encode()


def without_set(document: bytes) -> bytes:
    """The same document without ``setId`` and ``versionNumber``."""
    lines = document.decode().splitlines(keepends=True)
    return "".join(line for line in lines if "<setId" not in line and "<versionNumber" not in line).encode()


def admission(
    number: str = "RY-1", *, inpatient: str = "ZY0001", identity: str = "11010519491231002X", title: str = "入院记录",
    encoding: str = "UTF-8",
) -> bytes:  # fmt: skip
    """An admission record (入院记录, WS/T 500 part 34)."""
    text = ADMISSION.format(id=number, inpatient=inpatient, identity=identity, title=title, encoding=encoding)
    return text.encode(encoding)


def discharge(number: str = "CY-1", **given: str) -> bytes:
    """A discharge record (出院记录, WS/T 500 part 49)."""
    text = admission(number, title="出院记录", **given).decode()
    return text.replace("C0034", "C0049").replace("2.16.156.10011.2.1.1.54", "2.16.156.10011.2.1.1.69").encode()
