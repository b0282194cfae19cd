"""Encrypted examples of RFC 6030."""

KEY = bytes.fromhex("12345678901234567890123456789012")
_NAMES = (
    'Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc"'
    ' xmlns:ds="http://www.w3.org/2000/09/xmldsig#"'
    ' xmlns:xenc="http://www.w3.org/2001/04/xmlenc#"'
    ' xmlns:xenc11="http://www.w3.org/2009/xmlenc11#"'
    ' xmlns:pkcs5="http://www.rsasecurity.com/rsalabs/pkcs/schemas/pkcs-5v2-0#"'
)
_AES = '<xenc:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/>'
# RFC 6030 figure 6: AES-128-CBC with a pre-shared key.
FIGURE_6 = f"""<?xml version="1.0" encoding="UTF-8"?>
<KeyContainer {_NAMES}>
 <EncryptionKey><ds:KeyName>Pre-shared-key</ds:KeyName></EncryptionKey>
 <MACMethod Algorithm="http://www.w3.org/2000/09/xmldsig#hmac-sha1"><MACKey>{_AES}<xenc:CipherData>
  <xenc:CipherValue>ESIzRFVmd4iZABEiM0RVZgKn6WjLaTC1sbeBMSvIhRejN9vJa2BOlSaMrR7I5wSX</xenc:CipherValue>
 </xenc:CipherData></MACKey></MACMethod>
 <KeyPackage>
  <DeviceInfo><Manufacturer>Manufacturer</Manufacturer><SerialNo>987654321</SerialNo></DeviceInfo>
  <CryptoModuleInfo><Id>CM_ID_001</Id></CryptoModuleInfo>
  <Key Id="12345678" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp"><Issuer>Issuer</Issuer>
   <AlgorithmParameters><ResponseFormat Length="8" Encoding="DECIMAL"/></AlgorithmParameters>
   <Data><Secret><EncryptedValue>{_AES}<xenc:CipherData>
     <xenc:CipherValue>AAECAwQFBgcICQoLDA0OD+cIHItlB3Wra1DUpxVvOx2lef1VmNPCMl8jwZqIUqGv</xenc:CipherValue>
    </xenc:CipherData></EncryptedValue><ValueMAC>Su+NvtQfmvfJzF6bmQiJqoLRExc=</ValueMAC></Secret>
    <Counter><PlainValue>0</PlainValue></Counter></Data>
  </Key>
 </KeyPackage>
</KeyContainer>
"""
# RFC 6030 figure 7: a key derived from the passphrase "qwerty".
FIGURE_7 = FIGURE_6
for _before, _after in (
    (
        "<ds:KeyName>Pre-shared-key</ds:KeyName>",
        '<xenc11:DerivedKey><xenc11:KeyDerivationMethod Algorithm="http://www.rsasecurity.com/'
        'rsalabs/pkcs/schemas/pkcs-5v2-0#pbkdf2"><pkcs5:PBKDF2-params><Salt><Specified>Ej7/PEpyEpw='
        "</Specified></Salt><IterationCount>1000</IterationCount><KeyLength>16</KeyLength><PRF/>"
        "</pkcs5:PBKDF2-params></xenc11:KeyDerivationMethod></xenc11:DerivedKey>",
    ),
    (
        "ESIzRFVmd4iZABEiM0RVZgKn6WjLaTC1sbeBMSvIhRejN9vJa2BOlSaMrR7I5wSX",
        "2GTTnLwM3I4e5IO5FkufoOEiOhNj91fhKRQBtBJYluUDsPOLTfUvoU2dStyOwYZx",
    ),
    (
        "AAECAwQFBgcICQoLDA0OD+cIHItlB3Wra1DUpxVvOx2lef1VmNPCMl8jwZqIUqGv",
        "oTvo+S22nsmS2Z/RtcoF8Hfh+jzMe0RkiafpoDpnoZTjPYZu6V+A4aEn032yCr4f",
    ),
    ("Su+NvtQfmvfJzF6bmQiJqoLRExc=", "LP6xMvjtypbfT9PdkJhBZ+D6O4w="),
):
    FIGURE_7 = FIGURE_7.replace(_before, _after)
